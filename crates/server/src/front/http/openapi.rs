//! The OpenAPI document, made from the handlers.

use axum::Json;
use utoipa::OpenApi;

use super::{
    dead_letters, groups, lite, messages, operations, policies, quotas, stats, topics, trace, users,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "LiteMQ administration",
        description = "Topics, groups, lite topics, quotas, messages, users and policies."
    ),
    paths(
        topics::list,
        topics::create,
        topics::describe,
        topics::update,
        topics::delete,
        groups::list,
        groups::create,
        groups::describe,
        groups::update,
        groups::delete,
        groups::reset,
        groups::unsubscribe,
        stats::group,
        stats::clients,
        stats::client,
        lite::list,
        lite::create,
        lite::describe,
        lite::update,
        lite::delete,
        quotas::show,
        quotas::update,
        quotas::profiles,
        quotas::apply,
        messages::send,
        messages::peek,
        trace::of_lite,
        trace::of_topic,
        users::list,
        users::create,
        users::describe,
        users::update,
        users::rotate,
        users::delete,
        policies::list,
        policies::create,
        policies::delete,
        policies::test,
        dead_letters::list,
        dead_letters::show,
        dead_letters::resend,
        document,
        operations::healthz,
        operations::readyz,
        operations::metrics,
        operations::index,
    )
)]
pub(super) struct Document;

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "operations",
    responses((status = 200, description = "the document", body = serde_json::Value)))]
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::front::http::routes;

    #[test]
    fn every_path_that_is_served_is_described_and_the_other_way_round() {
        let described: BTreeSet<_> = Document::openapi().paths.paths.into_keys().collect();
        let served: BTreeSet<_> = routes().into_iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(described, served);
    }
}
