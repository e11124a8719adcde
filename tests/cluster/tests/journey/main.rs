//! What a platform operator does, from the chart to the last tenant, with our images on a real node: nothing here answers in
//! the place of anything.

mod people;
mod platform;

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use cartera_cluster::{Cluster, NoNode, skipped};
use people::Phone;
use platform::{Platform, TENANTS};

/// How long anything may take on a machine that has much else to do.
const PATIENCE: &str = "--timeout=240s";

#[test]
#[ignore = "needs a cluster: make cluster-test"]
fn a_tenant_is_sold_used_upgraded_and_ended() -> Result<()> {
    let cluster = Cluster::from_env_or_start()?;
    let node = match cluster.real_node() {
        Ok(node) => node,
        Err(NoNode::Skip(reason)) => {
            skipped("journey", &reason);
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let platform = Platform::install(&cluster, &node)?;
    platform.sell("acme")?;
    platform.sell("beta")?;
    let acme = platform.administrator("acme")?;
    let beta = platform.administrator("beta")?;
    let phone = Phone::enrol(&node, &acme)?;
    phone.sync()?;
    a_device_of_another_tenant_is_refused(&platform, &beta, &phone)?;
    a_server_has_no_rights(&platform)?;
    nothing_acknowledged_is_lost(&platform, &phone)?;
    platform.wait_until_first_password_is_gone("acme")?;
    another_operator_restarts_no_tenant(&platform)?;
    a_roll_out_brings_the_next_image(&platform, &phone)?;
    a_broken_image_stops_the_roll_out(&platform)?;
    an_image_that_is_not_there_is_said(&platform)?;
    the_documents_show(&platform)?;
    a_protected_tenant_is_not_deleted(&platform)?;
    tenants_end_in_order(&platform)
}

/// Each tenant knows its own devices alone: neither the token of another's, nor another's device that comes to its Service, which
/// keeps what was done on it and goes on at its own.
fn a_device_of_another_tenant_is_refused(
    platform: &Platform,
    beta: &people::Administrator,
    phone_of_acme: &Phone,
) -> Result<()> {
    let token = beta.enrol_by_rest(platform)?;
    ensure!(platform.status_of("beta", &token)? == 200, "it is a device of beta");
    ensure!(platform.status_of("acme", &token)? == 401, "and none of acme");

    let strayed = Phone::enrol(platform.node, beta)?;
    strayed.sync()?;
    strayed.make_account("Of beta")?;
    let own = strayed.lead_to(&phone_of_acme.server()?)?;
    let said = strayed.refused_sync()?;
    ensure!(said["status"] == 401, "{said}");
    phone_of_acme.sync()?;
    ensure!(phone_of_acme.accounts()?.is_empty(), "acme took something of beta: {:?}", phone_of_acme.accounts()?);
    let _ = strayed.lead_to(&own)?;
    strayed.sync()?;
    ensure!(strayed.accounts()? == ["Of beta"], "what was done waited: {:?}", strayed.accounts()?);
    Ok(())
}

/// What the account may do that a tenant's server runs as, in the namespaces that the operator made, is what an account may do that
/// nobody knows. The operator's own has its rights there, so they are to be seen where there are any.
fn a_server_has_no_rights(platform: &Platform) -> Result<()> {
    let namespace = platform.namespace("acme")?;
    let account = platform.of_server("acme", "{.spec.serviceAccountName}")?;
    ensure!(account == "cartera", "the server runs as {account}");
    let of_operator = platform.rights("cartera-system", "cartera-operator", &namespace)?;
    ensure!(of_operator.iter().any(|right| right.starts_with("secrets [] [cartera-internal]")), "{of_operator:#?}");
    let beta = platform.namespace("beta")?;
    for place in [namespace.as_str(), &beta, "cartera-tenants", "cartera-system", "kube-system"] {
        let rights = platform.rights(&namespace, &account, place)?;
        let of_nobody = platform.rights("default", "nobody", place)?;
        ensure!(rights == of_nobody, "in {place} a server may {rights:#?}, and nobody {of_nobody:#?}");
    }
    Ok(())
}

/// How far somebody is who works while other things happen.
#[derive(Default)]
struct Progress {
    /// Accounts that she made.
    made: AtomicUsize,
    /// Syncs that succeeded.
    synced: AtomicUsize,
    /// She may stop.
    is_enough: AtomicBool,
}

/// Somebody works on, one sync after the other, while the server is killed and the container runtime of its node restarts.
fn nothing_acknowledged_is_lost(platform: &Platform, phone: &Phone) -> Result<()> {
    let progress = Progress::default();
    let told = scope(|scope| -> Result<Vec<String>> {
        let working = scope.spawn(|| work(phone, &progress));
        let disturbed = disturb(platform, &progress, &working);
        progress.is_enough.store(true, Ordering::SeqCst);
        let told = working.join().map_err(|_| anyhow!("whoever worked panicked"))??;
        disturbed.map(|()| told)
    })?;
    platform.wait_ready("acme")?;
    phone.sync_at_last()?;
    let second = Phone::enrol(platform.node, phone.owner())?;
    second.sync()?;
    let there = second.accounts()?;
    ensure!(!told.is_empty(), "nothing was acknowledged");
    ensure!(told.iter().all(|name| there.contains(name)), "{told:?} was acknowledged, and {there:?} is there");
    let count = there.iter().filter(|name| name.starts_with("Account ")).count();
    let made = progress.made.load(Ordering::SeqCst);
    ensure!(count == made, "all of {made}, once: {there:?}");
    Ok(())
}

/// Each comes while she works and has synced since what came before.
fn disturb<T>(platform: &Platform, progress: &Progress, working: &ScopedJoinHandle<T>) -> Result<()> {
    goes_on(progress, 4, working)?;
    platform.kill_server("acme")?;
    goes_on(progress, 4, working)?;
    platform.node.restart_container_runtime()?;
    goes_on(progress, 2, working)
}

/// Makes accounts and syncs after each, until it is enough; those that the server has acknowledged.
fn work(phone: &Phone, progress: &Progress) -> Result<Vec<String>> {
    let mut told = Vec::new();
    while !progress.is_enough.load(Ordering::SeqCst) {
        let number = progress.made.load(Ordering::SeqCst);
        phone.make_account(&format!("Account {number}"))?;
        progress.made.fetch_add(1, Ordering::SeqCst);
        // Where nobody answers, it waits on the phone.
        if phone.sync().is_ok() {
            told.clone_from(&phone.accounts()?);
            progress.synced.fetch_add(1, Ordering::SeqCst);
        }
    }
    Ok(told)
}

/// Waits until she has synced a few times more; she must still be at it then.
fn goes_on<T>(progress: &Progress, times: usize, working: &ScopedJoinHandle<T>) -> Result<()> {
    let until = progress.synced.load(Ordering::SeqCst) + times;
    let began = Instant::now();
    while progress.synced.load(Ordering::SeqCst) < until {
        ensure!(!working.is_finished(), "whoever worked stopped before it was enough");
        ensure!(began.elapsed() < Duration::from_mins(4), "for four minutes nothing could be synced");
        sleep(Duration::from_millis(10));
    }
    ensure!(!working.is_finished(), "whoever worked stopped before it was enough");
    Ok(())
}

/// A tenant whose image nobody has says so, and what to do.
fn an_image_that_is_not_there_is_said(platform: &Platform) -> Result<()> {
    let nowhere = format!("registry.invalid/cartera@sha256:{}", "0".repeat(64));
    platform.order("gamma", &format!("version: {{channel: pinned, image: '{nowhere}'}}"))?;
    let reason = "jsonpath={.status.conditions[?(@.type=='WorkloadReady')].reason}=ImageNotPulled";
    let _ = platform.kubectl(["wait", &format!("--for={reason}"), "tenant/gamma", TENANTS, PATIENCE])?;
    let said = platform.get("tenant/gamma", "{.status.conditions[?(@.type=='Ready')].message}")?;
    ensure!(said.contains(&nowhere) && said.contains("correct version.image"), "{said}");
    platform.end("gamma")
}

/// One of another version would build other pods. This one is of the same version: what it builds otherwise was asked for, and is
/// nothing that a server is restarted for.
fn another_operator_restarts_no_tenant(platform: &Platform) -> Result<()> {
    let before = platform.server_of("acme")?;
    platform.upgrade_operator()?;
    platform.build_otherwise("acme")?;
    platform.wait_ready("acme")?;
    ensure!(platform.of_server("acme", "{.metadata.annotations.release}")?.is_empty(), "it is of the template before");
    ensure!(platform.of_server("acme", "{.metadata.deletionTimestamp}")?.is_empty(), "nobody ends it");
    ensure!(platform.server_of("acme")? == before, "the pod is the one that it was");
    Ok(())
}

fn a_roll_out_brings_the_next_image(platform: &Platform, phone: &Phone) -> Result<()> {
    let next = platform.next_image()?;
    platform.channel(&next)?;
    platform.roll_out("spring", "channel: stable", "[{name: first, count: 1, soak: 2s}, {name: rest, soak: 1s}]")?;
    platform.wait("fleetrollout/spring", "Succeeded")?;
    for tenant in ["acme", "beta"] {
        ensure!(platform.image_of(tenant)? == next, "{tenant} runs {}", platform.image_of(tenant)?);
    }
    phone.sync_at_last()
}

/// It stops at the first tenant: the second is not touched, and a newer roll-out puts the first right.
fn a_broken_image_stops_the_roll_out(platform: &Platform) -> Result<()> {
    let (good, broken) = (platform.image_of("beta")?, platform.broken_image()?);
    let waves = "[{name: first, count: 1, soak: 1s}, {name: rest, soak: 1s}]";
    platform.roll_out("summer", &format!("image: '{broken}'"), waves)?;
    platform.wait("fleetrollout/summer", "Paused")?;
    let failures = platform.get("fleetrollout/summer", "{.status.failures}")?;
    ensure!(failures.contains("acme") && failures.contains("not ready within"), "{failures}");
    ensure!(platform.image_of("beta")? == good, "the second wave never began");
    let ready = platform.get("tenant/acme", "{.status.conditions[?(@.type=='Ready')].message}")?;
    ensure!(ready.contains("kubectl logs"), "it says where to look: {ready}");
    platform.roll_out("autumn", &format!("image: '{good}'"), waves)?;
    platform.wait("fleetrollout/autumn", "Succeeded")?;
    platform.wait_ready("acme")
}

/// What README and `docs/operations.md` show is what these print, times and names of things aside.
fn the_documents_show(platform: &Platform) -> Result<()> {
    let listed = platform.kubectl(["get", "tenants", TENANTS])?;
    let described = platform.kubectl(["describe", "tenant", "acme", TENANTS])?;
    let explained = platform.kubectl(["explain", "tenant.spec.deletion"])?;
    let events = platform.kubectl(["get", "events", TENANTS, "--sort-by=.metadata.creationTimestamp"])?;
    platform::keep_for_docs(&[&listed, &described, &explained, &events])?;

    let (readme, operations) = (platform::document("README.md")?, platform::document("docs/operations.md")?);
    let header = listed.lines().next().context("a header")?;
    ensure!(readme.shows(header) && operations.shows(header), "the documents do not show {header}");
    let conditions: Vec<&str> = described.lines().filter_map(|line| line.trim().strip_prefix("Type: ")).collect();
    ensure!(conditions.len() > 10, "{described}");
    for condition in conditions {
        ensure!(operations.has_row(condition.trim()), "no row of the table of conditions is about {condition}");
    }
    for line in explained.lines() {
        ensure!(operations.shows(line), "docs/operations.md does not show this of kubectl explain: {line}");
    }
    for event in ["TenantsFailed", "FailureBudget"] {
        ensure!(events.contains(event) && operations.names(event), "{event} is shown in the documents and happens");
    }
    Ok(())
}

fn a_protected_tenant_is_not_deleted(platform: &Platform) -> Result<()> {
    let refused = platform.kubectl(["delete", "tenant", "acme", TENANTS]).err().context("it is protected")?;
    ensure!(refused.to_string().contains("deletion"), "{refused}");
    let namespace = platform.namespace("acme")?;
    let refused = platform.kubectl(["delete", "namespace", &namespace]).err().context("it is protected")?;
    ensure!(refused.to_string().contains("cartera.dev/allow-deletion"), "{refused}");
    platform.wait_ready("acme")
}

/// The volume stays by policy; the operator goes after the last tenant, not before.
fn tenants_end_in_order(platform: &Platform) -> Result<()> {
    let namespace = platform.namespace("acme")?;
    let volume = platform.kubectl([
        "get",
        "pvc",
        "cartera-data",
        "--namespace",
        &namespace,
        "--output=jsonpath={.spec.volumeName}",
    ])?;
    platform.end("acme")?;
    let gone = platform.kubectl(["get", "namespace", &namespace]);
    ensure!(gone.is_err(), "the namespace went with it");
    let policy = platform.kubectl(["get", "pv", &volume, "--output=jsonpath={.spec.persistentVolumeReclaimPolicy}"])?;
    ensure!(policy == "Retain", "the volume stays: {policy}");
    let _ = platform.uninstall().err().context("beta is still there")?;
    let said = platform.said_of_guard()?;
    ensure!(said.contains("cartera-tenants still has 1 Tenants (beta): delete them first"), "the guard says {said:?}");
    platform.end("beta")?;
    platform.uninstall()?;
    Ok(())
}

/// Whether a command ended well.
fn ended_well(status: ExitStatus, what: &str, said: &[u8]) -> Result<()> {
    ensure!(status.success(), "{what} failed: {}", String::from_utf8_lossy(said).trim());
    Ok(())
}
