use crate::crd::{FleetRollout, PlatformConfig, RolloutChannel};
use crate::tenant::validate::Refusal;

/// What tenants are brought to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Aim {
    /// The image, by its digest.
    pub image: String,
    /// The version that a schema must have afterwards, at least.
    pub schema_version: Option<i64>,
}

/// Whether the image stands in the status.
pub(super) fn is_written_down(rollout: &FleetRollout) -> bool {
    rollout.status.as_ref().is_some_and(|status| status.image.is_some())
}

/// What a roll-out is about: the image that it began with, or that its channel stands for now.
pub(super) fn aim(rollout: &FleetRollout, platform: Option<&PlatformConfig>) -> Result<Aim, Refusal> {
    let to = &rollout.spec.to;
    let begun = rollout.status.as_ref().and_then(|status| status.image.clone());
    let image = match begun.or_else(|| to.image.clone()) {
        Some(image) => image,
        None => of_channel(to.channel, platform)?,
    };
    Ok(Aim { image, schema_version: to.schema_version })
}

fn of_channel(channel: Option<RolloutChannel>, platform: Option<&PlatformConfig>) -> Result<String, Refusal> {
    let Some(platform) = platform else {
        return Err(Refusal {
            reason: "NoPlatformConfig",
            message: "there is no PlatformConfig named default in this namespace, which says what channels stand for: make one".to_owned(),
        });
    };
    let channels = &platform.spec.channels;
    match channel {
        Some(RolloutChannel::Canary) => channels.canary.clone().ok_or_else(|| Refusal {
            reason: "ChannelUnknown",
            message: "the PlatformConfig has no image for the channel canary: set channels.canary".to_owned(),
        }),
        _ => Ok(channels.stable.clone()),
    }
}
