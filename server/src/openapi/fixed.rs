//! The routes that are there whatever the model says: each slice describes its own beside their handlers.

use utoipa::OpenApi as _;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::platform::telemetry;
use crate::{
    blob, device, exchange, export, import, live_feed, model, moves, record, snapshot, sync_rules, user, wake,
};

/// What all slices say of their fixed routes.
pub(super) fn fixed() -> OpenApi {
    let info = InfoBuilder::new().title("Cartera").version(env!("CARGO_PKG_VERSION")).description(Some(
        "The records of one tenant, as the caller's role may see and change them. `docs/rest.md` is the guide.",
    ));
    let mut all = OpenApiBuilder::new().info(info.build()).build();
    let slices: &[fn() -> OpenApi] = &[
        record::routes::Described::openapi,
        exchange::Described::openapi,
        live_feed::Described::openapi,
        blob::Described::openapi,
        snapshot::Described::openapi,
        user::routes::Described::openapi,
        device::Described::openapi,
        import::routes::Described::openapi,
        export::routes::Described::openapi,
        moves::Described::openapi,
        wake::Described::openapi,
        sync_rules::Described::openapi,
        telemetry::routes::Described::openapi,
        model::routes::Described::openapi,
        super::routes::Described::openapi,
    ];
    for slice in slices {
        all.merge(slice());
    }
    all
}
