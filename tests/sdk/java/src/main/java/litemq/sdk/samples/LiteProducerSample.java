package litemq.sdk.samples;

import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.java.exception.LiteTopicQuotaExceededException;

/** The way users are shown to send: one producer, one message with a lite topic. */
public final class LiteProducerSample {
    private LiteProducerSample() {
    }

    public static void main(String[] args) throws ClientException {
        String endpoints = args[0];
        String topic = args[1];

        ClientServiceProvider provider = ClientServiceProvider.loadService();
        ClientConfiguration configuration = ClientConfiguration.newBuilder()
            .setEndpoints(endpoints)
            .build();
        Producer producer = provider.newProducerBuilder()
            .setTopics(topic)
            .setClientConfiguration(configuration)
            .build();

        Message message = provider.newMessageBuilder()
            .setTopic(topic)
            .setKeys("messageKey")
            .setLiteTopic("lite-topic-1")
            .setBody("messageBody".getBytes(StandardCharsets.UTF_8))
            .build();
        try {
            SendReceipt receipt = producer.send(message);
            System.out.println("Send message successfully, messageId=" + receipt.getMessageId());
        } catch (LiteTopicQuotaExceededException e) {
            System.out.println("Lite topic quota exceeded: " + e.getMessage());
        } catch (ClientException e) {
            System.out.println("Failed to send message: " + e.getMessage());
        }
        System.exit(0);
    }
}
