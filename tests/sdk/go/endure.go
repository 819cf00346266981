package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
)

// endurance sends and receives whatever happens to the broker. See README.md, "Endurance".
type endurance struct {
	driver
	topic, group, name string
	lites              []string
	pause              time.Duration
	quiet              atomic.Bool
}

type fields map[string]any

// endure is the whole program when it is asked for.
func endure(args []string) error {
	perSecond, err := strconv.ParseFloat(args[5], 64)
	if err != nil {
		return err
	}
	e := &endurance{
		driver: driver{endpoint: args[0]},
		topic:  args[1], group: args[2], name: args[3],
		lites: strings.Split(args[4], ","),
		pause: time.Duration(float64(time.Second) / perSecond),
	}
	if err := e.receive(); err != nil {
		return err
	}
	if err := e.startProducer(e.topic); err != nil {
		return err
	}
	e.tell("ready", fields{})
	go e.send()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		e.quiet.Store(true)
	}
	return nil
}

func (e *endurance) receive() error {
	consume := func(message *rmq.MessageView) rmq.ConsumerResult {
		body := string(message.GetBody())
		what := fields{
			"id": strings.Split(body, " ")[0], "lite": message.GetLiteTopic(),
			"offset": message.GetOffset(), "attempt": message.GetDeliveryAttempt(),
		}
		e.tell("delivered", what, fields{"body": body})
		e.tell("acked", what)
		return rmq.SUCCESS
	}
	consumer, err := rmq.NewLitePushConsumer(e.config(e.group), rmq.NewLitePushConsumerConfig(e.topic, invisible),
		rmq.WithPushMessageListener(&rmq.FuncMessageListener{Consume: consume}))
	if err != nil {
		return err
	}
	if err := consumer.Start(); err != nil {
		return err
	}
	for _, lite := range e.lites {
		if err := consumer.SubscribeLite(lite); err != nil {
			return err
		}
	}
	return nil
}

func (e *endurance) send() {
	for number := 0; !e.quiet.Load(); number++ {
		lite, sequence := e.lites[number%len(e.lites)], number/len(e.lites)
		id := fmt.Sprintf("%s-%s-%d", e.name, lite, sequence)
		body := strings.TrimSuffix(strings.Repeat(id+" ", 1+sequence%40), " ")
		sent := fields{"id": id, "lite": lite, "sequence": sequence, "asked_ms": time.Now().UnixMilli()}
		message := &rmq.Message{Topic: e.topic, Body: []byte(body)}
		message.SetLiteTopic(lite)
		receipts, err := e.producer.Send(context.Background(), message)
		if err != nil {
			e.tell("sent", sent, fields{"error": oneLine(err)})
		} else {
			e.tell("sent", sent, fields{"offset": receipts[0].Offset})
		}
		time.Sleep(e.pause)
	}
	e.tell("quiet", fields{})
}

func (e *endurance) tell(event string, parts ...fields) {
	all := fields{"event": event, "at_ms": time.Now().UnixMilli()}
	for _, part := range parts {
		for name, value := range part {
			all[name] = value
		}
	}
	line, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	e.out.Lock()
	defer e.out.Unlock()
	fmt.Println(string(line))
}
