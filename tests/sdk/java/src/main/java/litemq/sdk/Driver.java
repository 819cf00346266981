package litemq.sdk;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientConfigurationBuilder;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/** The Java driver: hosts clients of the official SDK and does what the harness says. */
public final class Driver {
    /** The default of 3 s is too short for the first call of a JVM, with its TLS handshake, on a machine that starts several. */
    private static final Duration FIRST_CALL_WITHIN = Duration.ofSeconds(20);

    private final ClientServiceProvider provider = ClientServiceProvider.loadService();
    private final ClientConfiguration configuration;
    private final Map<String, LitePushConsumer> consumers = new HashMap<>();
    private final PrintStream out;
    private Producer producer;

    private Driver(String endpoint, PrintStream out) {
        String accessKey = System.getenv("LITEMQ_SDK_ACCESS_KEY");
        ClientConfigurationBuilder builder = ClientConfiguration.newBuilder()
            .setEndpoints(endpoint)
            .setRequestTimeout(FIRST_CALL_WITHIN);
        if (!accessKey.isEmpty()) {
            String secret = System.getenv("LITEMQ_SDK_SECRET");
            builder.setCredentialProvider(new StaticSessionCredentialsProvider(accessKey, secret));
        }
        this.configuration = builder.build();
        this.out = out;
    }

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        Driver driver = new Driver(args[0], out);
        driver.say("ok", "ready");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            driver.answer(line.split("\t"));
        }
        Runtime.getRuntime().halt(0);
    }

    private void answer(String[] words) {
        try {
            Collection<String> values = run(words[1], Arrays.copyOfRange(words, 2, words.length));
            say("ok", words[0], String.join("\t", values));
        } catch (Exception e) {
            say("error", words[0], stackTraceWithoutFrames(e));
        }
    }

    /** What a user reads in a stack trace: the causes count, since some clients put the reason only there. */
    private static String stackTraceWithoutFrames(Throwable thrown) {
        StringBuilder text = new StringBuilder(thrown.toString());
        for (Throwable cause = thrown.getCause(); cause != null; cause = cause.getCause()) {
            text.append(" Caused by: ").append(cause);
        }
        return text.toString().replaceAll("\\s+", " ");
    }

    private Collection<String> run(String verb, String[] args) throws Exception {
        switch (verb) {
            case "producer":
                producer = provider.newProducerBuilder().setClientConfiguration(configuration).setTopics(args[0]).build();
                return List.of();
            case "send":
                return List.of(send(args[0], args[1], args[2], Arrays.copyOfRange(args, 3, args.length)));
            case "push":
                startPush(args[0], args[1], args[2], args[3]);
                return List.of();
            case "subscribe":
                if (args.length > 2) {
                    Starts.subscribe(consumers.get(args[0]), args[1], Arrays.copyOfRange(args, 2, args.length));
                } else {
                    consumers.get(args[0]).subscribeLite(args[1]);
                }
                return List.of();
            case "unsubscribe":
                consumers.get(args[0]).unsubscribeLite(args[1]);
                return List.of();
            case "subscriptions":
                return consumers.get(args[0]).getLiteTopicSet();
            case "close":
                consumers.remove(args[0]).close();
                return List.of();
            default:
                throw new IllegalArgumentException("this SDK cannot " + verb);
        }
    }

    private String send(String topic, String lite, String body, String[] properties) throws ClientException {
        MessageBuilder builder = provider.newMessageBuilder()
            .setTopic(topic)
            .setLiteTopic(lite)
            .setBody(body.getBytes(StandardCharsets.UTF_8));
        for (String property : properties) {
            String[] pair = property.split("=", 2);
            builder.addProperty(pair[0], pair[1]);
        }
        return producer.send(builder.build()).getMessageId().toString();
    }

    private void startPush(String name, String topic, String group, String listener) throws ClientException {
        consumers.put(name, provider.newLitePushConsumerBuilder()
            .setClientConfiguration(configuration)
            .setConsumerGroup(group)
            .bindTopic(topic)
            .setMessageListener(message -> {
                tell(name, message);
                switch ("obey".equals(listener) ? bodyOf(message) : listener) {
                    case "hold":
                        holdForEver();
                        return ConsumeResult.FAILURE;
                    case "fail":
                        return ConsumeResult.FAILURE;
                    case "fail-first":
                        return message.getDeliveryAttempt() == 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
                    default:
                        return ConsumeResult.SUCCESS;
                }
            })
            .build());
    }

    private void tell(String consumer, MessageView message) {
        say("message", consumer, message.getLiteTopic().orElse(""), bodyOf(message),
            String.valueOf(message.getDeliveryAttempt()), message.getMessageId().toString());
    }

    private static String bodyOf(MessageView message) {
        return StandardCharsets.UTF_8.decode(message.getBody()).toString();
    }

    private static void holdForEver() {
        try {
            new CountDownLatch(1).await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void say(String... words) {
        out.println("@" + String.join("\t", words));
    }
}
