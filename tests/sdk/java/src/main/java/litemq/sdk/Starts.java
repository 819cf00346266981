package litemq.sdk;

import java.util.Locale;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;

/** Where a subscription starts. Clients have this since 5.2.0 and the driver is built with older ones too, hence reflection. */
final class Starts {
    private Starts() {
    }

    /** The words are {@code last}, {@code min} or {@code max}, or {@code offset}, {@code tail} or {@code time} and a number. */
    static void subscribe(LitePushConsumer consumer, String lite, String[] words) throws Exception {
        Class<?> type = Class.forName("org.apache.rocketmq.client.apis.consumer.OffsetOption");
        Object option;
        if (words.length == 1) {
            option = type.getField(words[0].toUpperCase(Locale.ROOT) + "_OFFSET").get(null);
        } else {
            option = type.getMethod(factory(words[0]), long.class).invoke(null, Long.parseLong(words[1]));
        }
        LitePushConsumer.class.getMethod("subscribeLite", String.class, type).invoke(consumer, lite, option);
    }

    private static String factory(String word) {
        switch (word) {
            case "offset":
                return "ofOffset";
            case "tail":
                return "ofTailN";
            case "time":
                return "ofTimestamp";
            default:
                throw new IllegalArgumentException("no start " + word);
        }
    }
}
