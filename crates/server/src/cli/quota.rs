//! How many lite topics and subscriptions there may be.

use std::io::{self, Write};

use super::CliError;
use super::args::{ProfileCommand, QuotaCommand};
use super::client::{Client, segment};
use super::commands::{Output, quota_text};
use super::table::{write_properties, write_table};
use crate::front::http::model::{QuotaChangeForm, QuotaProfileList, QuotaView};

pub(super) fn run(
    command: QuotaCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        QuotaCommand::Show => {
            let view: QuotaView = client.get("quotas", &[])?;
            output.print(&view, describe)
        }
        QuotaCommand::Set { lite_topics, subscriptions } => {
            let form =
                QuotaChangeForm { lite_topics_max: lite_topics, subscriptions_max: subscriptions };
            if form == QuotaChangeForm::default() {
                return Err(CliError::Usage("nothing to change; see --help".to_owned()));
            }
            let view: QuotaView = client.patch("quotas", &form)?;
            output.print(&view, describe)
        }
        QuotaCommand::Profile(ProfileCommand::List) => {
            let list: QuotaProfileList = client.get("quotas/profiles", &[])?;
            output.print(&list, |out, list| {
                let header = ["NAME", "MESSAGES/S", "LITE TOPICS", "SUBSCRIPTIONS"];
                let rows = list.profiles.iter().map(|profile| {
                    [
                        profile.name.clone(),
                        profile.messages_per_second.to_string(),
                        profile.lite_topics_max.to_string(),
                        profile.subscriptions_max.to_string(),
                    ]
                });
                write_table(out, header, rows.collect())
            })
        }
        QuotaCommand::Profile(ProfileCommand::Apply { name }) => {
            let path = format!("quotas/profiles/{}", segment(&name));
            let view: QuotaView = client.post(&path, &())?;
            output.print(&view, describe)
        }
    }
}

fn describe(out: &mut dyn Write, view: &QuotaView) -> io::Result<()> {
    let of = |count: u64, max: i64| format!("{count} of {}", quota_text(max));
    write_properties(
        out,
        &[
            ("lite topics", of(view.lite_topics, view.lite_topics_max)),
            ("subscriptions", of(view.subscriptions, view.subscriptions_max)),
        ],
    )
}
