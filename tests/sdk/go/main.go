// The Go driver: hosts clients of the official SDK and does what the harness says.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"github.com/apache/rocketmq-clients/golang/v5/credentials"
)

const suspendTime = 5 * time.Second

// This SDK does not let the broker renew a lease, so the lease is the one asked for here.
const invisible = 10 * time.Second

type driver struct {
	endpoint  string
	producer  rmq.Producer
	consumers map[string]rmq.LitePushConsumer
	out       sync.Mutex
}

func main() {
	if os.Args[1] == "endure" {
		if err := endure(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	d := &driver{endpoint: os.Args[1], consumers: map[string]rmq.LitePushConsumer{}}
	d.say("ok", "ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		values, err := d.do(words[1], words[2:])
		if err != nil {
			d.say("error", words[0], oneLine(err))
			continue
		}
		d.say(append([]string{"ok", words[0]}, values...)...)
	}
}

func (d *driver) do(verb string, args []string) ([]string, error) {
	switch verb {
	case "producer":
		return nil, d.startProducer(args[0])
	case "send":
		return d.send(args[0], args[1], args[2], args[3:])
	case "push":
		return nil, d.startPush(args[0], args[1], args[2], args[3])
	}
	consumer, found := d.consumers[args[0]]
	if !found {
		return nil, fmt.Errorf("no consumer %s for %s", args[0], verb)
	}
	switch verb {
	case "subscribe":
		if len(args) > 2 {
			return nil, errors.New("this SDK has no offset options")
		}
		return nil, consumer.SubscribeLite(args[1])
	case "unsubscribe":
		return nil, consumer.UnSubscribeLite(args[1])
	case "close":
		delete(d.consumers, args[0])
		return nil, consumer.GracefulStop()
	}
	return nil, errors.New("this SDK cannot " + verb)
}

func (d *driver) config(group string) *rmq.Config {
	own := &credentials.SessionCredentials{
		AccessKey:    os.Getenv("LITEMQ_SDK_ACCESS_KEY"),
		AccessSecret: os.Getenv("LITEMQ_SDK_SECRET"),
	}
	return &rmq.Config{Endpoint: d.endpoint, ConsumerGroup: group, Credentials: own}
}

func (d *driver) startProducer(topic string) error {
	producer, err := rmq.NewProducer(d.config(""), rmq.WithTopics(topic))
	if err != nil {
		return err
	}
	d.producer = producer
	return producer.Start()
}

func (d *driver) send(topic, lite, body string, properties []string) ([]string, error) {
	message := &rmq.Message{Topic: topic, Body: []byte(body)}
	message.SetLiteTopic(lite)
	for _, property := range properties {
		name, value, _ := strings.Cut(property, "=")
		message.AddProperty(name, value)
	}
	receipts, err := d.producer.Send(context.Background(), message)
	if err != nil {
		return nil, err
	}
	return []string{receipts[0].MessageID}, nil
}

func (d *driver) startPush(name, topic, group, listener string) error {
	var suspended sync.Map
	consume := func(message *rmq.MessageView) rmq.ConsumerResult {
		d.say("message", name, message.GetLiteTopic(), string(message.GetBody()),
			strconv.Itoa(int(message.GetDeliveryAttempt())), message.GetMessageId())
		switch behaviour := behaviourFor(message, listener); {
		case behaviour == "hold":
			select {}
		case behaviour == "fail", behaviour == "fail-first" && message.GetDeliveryAttempt() == 1:
			return rmq.FAILURE
		case behaviour == "suspend":
			if _, again := suspended.LoadOrStore(message.GetMessageId(), true); !again {
				return rmq.NewConsumerResultSuspend(suspendTime)
			}
		}
		return rmq.SUCCESS
	}
	consumer, err := rmq.NewLitePushConsumer(d.config(group), rmq.NewLitePushConsumerConfig(topic, invisible),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: consume}))
	if err != nil {
		return err
	}
	d.consumers[name] = consumer
	return consumer.Start()
}

// A listener that obeys does what the body of the message says.
func behaviourFor(message *rmq.MessageView, listener string) string {
	if listener == "obey" {
		return string(message.GetBody())
	}
	return listener
}

func (d *driver) say(words ...string) {
	d.out.Lock()
	defer d.out.Unlock()
	fmt.Println("@" + strings.Join(words, "\t"))
}

func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if status, ok := rmq.AsErrRpcStatus(err); ok {
		return fmt.Sprintf("%d %s", status.GetCode(), text)
	}
	return text
}
