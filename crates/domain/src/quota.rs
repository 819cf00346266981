//! How much a broker may hold, and the sizes that LiteTopic instances are sold in.

/// Bounds of a broker, over all its topics; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Lite topics alive, dead letters aside.
    pub lite_topics_max: Option<u64>,
    /// Pairs of a client and a lite topic that it is subscribed to.
    pub subscriptions_max: Option<u64>,
}

/// A named size. Source: the instance tables of the product page of LiteTopics, where one number is
/// both the creation quota and the subscription quota of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaProfile {
    /// Edition and messages a second.
    pub name: &'static str,
    /// Messages a second that the instance is sold for; for serverless, up to so many. Told, and not
    /// enforced: see the send rate of a topic.
    pub messages_per_second: u32,
    /// Lite topics, and as many subscriptions.
    pub lite_topics: u64,
}

impl QuotaProfile {
    /// The profile of this name.
    pub fn find(name: &str) -> Option<Self> {
        QUOTA_PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// What it allows.
    pub fn quotas(self) -> Quotas {
        let max = Some(self.lite_topics);
        Quotas { lite_topics_max: max, subscriptions_max: max }
    }
}

const fn profile(name: &'static str, messages_per_second: u32, lite_topics: u64) -> QuotaProfile {
    QuotaProfile { name, messages_per_second, lite_topics }
}

/// Every profile, by edition and size.
pub const QUOTA_PROFILES: [QuotaProfile; 46] = [
    profile("serverless-5k", 5_000, 300_000),
    profile("serverless-10k", 10_000, 600_000),
    profile("serverless-15k", 15_000, 720_000),
    profile("serverless-50k", 50_000, 1_000_000),
    profile("serverless-100k", 100_000, 1_500_000),
    profile("serverless-200k", 200_000, 2_400_000),
    profile("serverless-300k", 300_000, 4_700_000),
    profile("serverless-500k", 500_000, 6_300_000),
    profile("serverless-1m", 1_000_000, 11_600_000),
    profile("standard-s2-2k", 2_000, 150_000),
    profile("standard-s2-4k", 4_000, 250_000),
    profile("standard-s2-6k", 6_000, 300_000),
    profile("professional-p2-2k", 2_000, 150_000),
    profile("professional-p2-4k", 4_000, 250_000),
    profile("professional-p2-6k", 6_000, 300_000),
    profile("professional-p2-10k", 10_000, 600_000),
    profile("professional-p2-20k", 20_000, 800_000),
    profile("professional-p2-30k", 30_000, 1_000_000),
    profile("professional-p2-40k", 40_000, 1_200_000),
    profile("professional-p2-50k", 50_000, 1_400_000),
    profile("professional-p2-100k", 100_000, 2_200_000),
    profile("professional-p2-120k", 120_000, 2_700_000),
    profile("professional-p2-150k", 150_000, 3_300_000),
    profile("professional-p2-200k", 200_000, 4_500_000),
    profile("platinum-u2-10k", 10_000, 600_000),
    profile("platinum-u2-20k", 20_000, 800_000),
    profile("platinum-u2-30k", 30_000, 1_000_000),
    profile("platinum-u2-40k", 40_000, 1_200_000),
    profile("platinum-u2-50k", 50_000, 1_400_000),
    profile("platinum-u2-60k", 60_000, 1_600_000),
    profile("platinum-u2-70k", 70_000, 1_700_000),
    profile("platinum-u2-80k", 80_000, 1_800_000),
    profile("platinum-u2-90k", 90_000, 2_000_000),
    profile("platinum-u2-100k", 100_000, 2_200_000),
    profile("platinum-u2-120k", 120_000, 2_700_000),
    profile("platinum-u2-150k", 150_000, 3_300_000),
    profile("platinum-u2-200k", 200_000, 4_500_000),
    profile("platinum-u2-250k", 250_000, 5_600_000),
    profile("platinum-u2-300k", 300_000, 6_300_000),
    profile("platinum-u2-350k", 350_000, 7_500_000),
    profile("platinum-u2-400k", 400_000, 9_300_000),
    profile("platinum-u2-450k", 450_000, 10_400_000),
    profile("platinum-u2-500k", 500_000, 11_600_000),
    profile("platinum-u2-550k", 550_000, 12_800_000),
    profile("platinum-u2-600k", 600_000, 14_000_000),
    profile("platinum-u2-1m", 1_000_000, 23_200_000),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_by_name_and_grow_with_their_size() {
        let professional = QuotaProfile::find("professional-p2-10k").unwrap();
        assert_eq!(professional.quotas().subscriptions_max, Some(600_000));
        assert_eq!(QuotaProfile::find("professional-p2-11k"), None);
        let mut names: Vec<_> = QUOTA_PROFILES.iter().map(|profile| profile.name).collect();
        names.dedup();
        assert_eq!(names.len(), QUOTA_PROFILES.len());
        let edition = |name: &str| name.rsplit_once('-').map(|(edition, _)| edition.to_owned());
        for pair in QUOTA_PROFILES.windows(2) {
            let [small, large] = pair else { continue };
            let grows = small.messages_per_second < large.messages_per_second
                && small.lite_topics < large.lite_topics;
            assert!(grows || edition(small.name) != edition(large.name), "{pair:?}");
        }
    }
}
