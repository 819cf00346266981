package litemq.sdk;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.java.impl.producer.SendReceiptImpl;
import org.apache.rocketmq.client.java.message.MessageViewImpl;

/** Sends and receives with the official SDK whatever happens to the broker. See README.md, "Endurance". */
public final class Endure {
    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private final ClientConfiguration configuration;
    private final String topic;
    private final String group;
    private final String name;
    private final String[] lites;
    private final long pauseMs;
    private volatile boolean isQuiet;

    private Endure(String[] args) {
        this.configuration = ClientConfiguration.newBuilder().setEndpoints(args[0]).build();
        this.topic = args[1];
        this.group = args[2];
        this.name = args[3];
        this.lites = args[4].split(",");
        this.pauseMs = (long) (1000 / Double.parseDouble(args[5]));
    }

    public static void main(String[] args) throws Exception {
        Endure endure = new Endure(args);
        endure.receive();
        Producer producer = endure.provider.newProducerBuilder()
            .setClientConfiguration(endure.configuration)
            .setTopics(endure.topic)
            .build();
        endure.say("ready", "");
        Thread sender = new Thread(() -> endure.send(producer));
        sender.setDaemon(true);
        sender.start();
        for (int read = System.in.read(); read >= 0; read = System.in.read()) {
            endure.isQuiet = true;
        }
        Runtime.getRuntime().halt(0);
    }

    private void receive() throws Exception {
        LitePushConsumer consumer = provider.newLitePushConsumerBuilder()
            .setClientConfiguration(configuration)
            .setConsumerGroup(group)
            .bindTopic(topic)
            .setMessageListener(this::consume)
            .build();
        for (String lite : lites) {
            consumer.subscribeLite(lite);
        }
    }

    private ConsumeResult consume(MessageView message) {
        String body = StandardCharsets.UTF_8.decode(message.getBody()).toString();
        String what = text("id", body.split(" ")[0]) + text("lite", message.getLiteTopic().orElse(""))
            + number("offset", ((MessageViewImpl) message).getOffset()) + number("attempt", message.getDeliveryAttempt());
        say("delivered", what + text("body", body));
        say("acked", what);
        return ConsumeResult.SUCCESS;
    }

    private void send(Producer producer) {
        for (int count = 0; !isQuiet; count++) {
            String lite = lites[count % lites.length];
            int sequence = count / lites.length;
            String id = name + "-" + lite + "-" + sequence;
            String body = String.join(" ", Collections.nCopies(1 + sequence % 40, id));
            String sent = text("id", id) + text("lite", lite) + number("sequence", sequence)
                + number("asked_ms", System.currentTimeMillis());
            try {
                SendReceipt receipt = producer.send(provider.newMessageBuilder()
                    .setTopic(topic)
                    .setLiteTopic(lite)
                    .setBody(body.getBytes(StandardCharsets.UTF_8))
                    .build());
                say("sent", sent + number("offset", ((SendReceiptImpl) receipt).getOffset()));
            } catch (Exception e) {
                say("sent", sent + text("error", e.toString()));
            }
            sleep();
        }
        say("quiet", "");
    }

    private void sleep() {
        try {
            Thread.sleep(pauseMs);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void say(String event, String values) {
        out.println("{\"event\":\"" + event + "\",\"at_ms\":" + System.currentTimeMillis() + values + "}");
    }

    private static String text(String name, String value) {
        String plain = value.replaceAll("[\"\\\\\\p{Cntrl}]", "'");
        return ",\"" + name + "\":\"" + plain + "\"";
    }

    private static String number(String name, long value) {
        return ",\"" + name + "\":" + value;
    }
}
