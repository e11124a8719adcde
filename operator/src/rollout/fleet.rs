//! Which tenants take part, and in which wave.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::core::{Expression, Selector, SelectorExt as _};

use crate::crd::{Channel, FleetRollout, LabelOperator, RolloutChannel, Tenant, TenantSelector, Wave};

/// A tenant that takes part.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// The number of its wave.
    pub wave: usize,
}

/// The tenants of a roll-out by name. One that a wave of a newer roll-out takes as well is that one's, from when that one has
/// its image: two never give a tenant two images in turn.
pub(super) fn members(rollout: &FleetRollout, tenants: &[Arc<Tenant>], rollouts: &[Arc<FleetRollout>]) -> Vec<Member> {
    let has_begun = |other: &&Arc<FleetRollout>| other.status.as_ref().is_some_and(|status| status.image.is_some());
    let newer = rollouts.iter().filter(|other| age(other) > age(rollout)).filter(has_begun);
    let taken: HashSet<Option<String>> = newer
        .flat_map(|other| divided(&other.spec.waves, of(other, tenants)))
        .map(|member| member.tenant.uid())
        .collect();
    let mut members = divided(&rollout.spec.waves, of(rollout, tenants));
    members.retain(|member| !taken.contains(&member.tenant.uid()));
    members
}

fn of(rollout: &FleetRollout, tenants: &[Arc<Tenant>]) -> Vec<Arc<Tenant>> {
    let mut own: Vec<Arc<Tenant>> = tenants.iter().filter(|tenant| takes(rollout, tenant)).cloned().collect();
    own.sort_by_key(|tenant| tenant.name_any());
    own
}

fn age(rollout: &FleetRollout) -> (Option<jiff::Timestamp>, String) {
    (rollout.creation_timestamp().map(|time| time.0), rollout.name_any())
}

/// Who pinned an image has chosen it: no roll-out moves that tenant.
fn takes(rollout: &FleetRollout, tenant: &Tenant) -> bool {
    let follows = match (tenant.spec.version.channel, rollout.spec.to.channel) {
        (Channel::Pinned, _) => false,
        (_, None) => true,
        (channel, Some(RolloutChannel::Stable)) => channel == Channel::Stable,
        (channel, Some(RolloutChannel::Canary)) => channel == Channel::Canary,
    };
    follows && rollout.spec.selector.as_ref().is_none_or(|selector| selects(selector, tenant))
}

fn selects(selector: &TenantSelector, tenant: &Tenant) -> bool {
    let labels = selector.match_labels.iter().map(|(key, value)| Expression::Equal(key.clone(), value.clone()));
    let requirements = selector.match_expressions.iter().map(|requirement| {
        let (key, values) = (requirement.key.clone(), requirement.values.iter().cloned().collect());
        match requirement.operator {
            LabelOperator::In => Expression::In(key, values),
            LabelOperator::NotIn => Expression::NotIn(key, values),
            LabelOperator::Exists => Expression::Exists(key),
            LabelOperator::DoesNotExist => Expression::DoesNotExist(key),
        }
    });
    labels.chain(requirements).collect::<Selector>().matches(tenant.labels())
}

/// Each wave takes of what those before it left; what none takes has no part.
fn divided(waves: &[Wave], tenants: Vec<Arc<Tenant>>) -> Vec<Member> {
    let total = tenants.len();
    let mut places: Vec<Option<usize>> = vec![None; total];
    for (number, wave) in waves.iter().enumerate() {
        let most = match (wave.percent, wave.count) {
            (Some(percent), _) => (total * usize::try_from(percent).unwrap_or_default()).div_ceil(100),
            (None, Some(count)) => usize::try_from(count).unwrap_or_default(),
            (None, None) => total,
        };
        let is_its = |tenant: &Tenant| wave.selector.as_ref().is_none_or(|selector| selects(selector, tenant));
        let free = places.iter_mut().zip(&tenants).filter(|(place, tenant)| place.is_none() && is_its(tenant));
        for (place, _) in free.take(most) {
            *place = Some(number);
        }
    }
    let placed = tenants.into_iter().zip(places);
    placed.filter_map(|(tenant, place)| Some(Member { tenant, wave: place? })).collect()
}
