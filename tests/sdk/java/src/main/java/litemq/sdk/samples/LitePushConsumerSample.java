package litemq.sdk.samples;

import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.java.exception.LiteSubscriptionQuotaExceededException;

/** The way users are shown to receive: bind the parent topic, then subscribe to lite topics. */
public final class LitePushConsumerSample {
    private LitePushConsumerSample() {
    }

    public static void main(String[] args) throws ClientException, InterruptedException {
        String endpoints = args[0];
        String topic = args[1];
        String consumerGroup = args[2];

        ClientServiceProvider provider = ClientServiceProvider.loadService();
        ClientConfiguration configuration = ClientConfiguration.newBuilder()
            .setEndpoints(endpoints)
            .build();
        LitePushConsumer consumer = provider.newLitePushConsumerBuilder()
            .setClientConfiguration(configuration)
            .bindTopic(topic)
            .setConsumerGroup(consumerGroup)
            .setMessageListener(messageView -> {
                System.out.println("Consume message=" + messageView.getLiteTopic().orElse("") + ":"
                    + StandardCharsets.UTF_8.decode(messageView.getBody()));
                return ConsumeResult.SUCCESS;
            })
            .build();

        try {
            consumer.subscribeLite("lite-topic-1");
            consumer.subscribeLite("lite-topic-2");
            consumer.subscribeLite("lite-topic-3");
            consumer.unsubscribeLite("lite-topic-3");
        } catch (LiteSubscriptionQuotaExceededException e) {
            System.out.println("Lite subscription quota exceeded: " + e.getMessage());
        } catch (ClientException e) {
            System.out.println("Failed to subscribe: " + e.getMessage());
        }
        System.out.println("Subscribed=" + consumer.getLiteTopicSet());
        Thread.sleep(Long.MAX_VALUE);
    }
}
