//! The operator with its fleet, measured from outside.

use std::fs;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cartera_operator::cluster::names;
use cartera_operator::crd::Tenant;
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::{fleet, serve};

/// How many tenants the first measurement of memory is made with.
const FEW: usize = 100;
/// How many edits are repaired.
const EDITS: usize = 200;

/// How many times as long as the plain applies making the fleet may take.
const BAR_OF_PLAIN: f64 = 1.5;
/// Seconds within which drift is repaired at p99.
const BAR_OF_REPAIR: f64 = 2.0;
/// Seconds within which an operator that was killed has caught up.
const BAR_OF_RESTART: f64 = 10.0;
/// Memory that an operator takes without tenants, and that each of them takes more.
const BAR_OF_BASE_MIB: f64 = 60.0;
const BAR_OF_TENANT_KIB: f64 = 12.0;

/// A bar, as it is printed beside its figure: whether that misses it cannot be overlooked.
fn bar(figure: f64, most: f64, unit: &str) -> String {
    let missed = if figure > most { ", MISSED" } else { "" };
    format!("(bar: {most}{unit}{missed})")
}

/// Measures all of it and prints it, each figure beside its bar.
pub async fn measure(count: usize, rest_seconds: u64, plain_seconds: f64) -> Result<()> {
    let client = fleet::client().await?;
    fleet::found(&client).await?;
    let mut operator = Running::start().await?;
    let few = FEW.min(count);
    let first = grow(&client, &operator, 0, few).await?;
    let few_kib = operator.resident_kib()?;
    let rest = grow(&client, &operator, few, count).await?;
    let seconds = (first + rest).as_secs_f64();
    let times = seconds / plain_seconds;
    println!(
        "{count} tenants Ready in {seconds:.1} s, {times:.2} times the plain applies {}",
        bar(times, BAR_OF_PLAIN, " times")
    );
    let reconciles = operator.sum("cartera_operator_reconciles_total{kind=\"tenant\"")?;
    println!("{reconciles} reconciles of tenants, {:.0}/s", reconciles / seconds);
    resident(count, operator.resident_kib()?);

    at_rest(&operator, rest_seconds).await?;
    repaired(&client, count).await?;
    let caught_up = operator.restart(count).await?.as_secs_f64();
    println!("killed and started again: caught up after {caught_up:.1} s {}", bar(caught_up, BAR_OF_RESTART, " s"));

    let double = count * 2;
    grow(&client, &operator, count, double).await?;
    let double_kib = operator.resident_kib()?;
    resident(few, few_kib);
    resident(double, double_kib);
    let each_kib = (double_kib as f64 - few_kib as f64) / (double - few) as f64;
    println!("{each_kib:.1} KiB for each tenant from {few} to {double} {}", bar(each_kib, BAR_OF_TENANT_KIB, " KiB"));
    let base_mib = (few_kib as f64 - each_kib * few as f64) / 1024.0;
    println!("{base_mib:.1} MiB without tenants, by that line {}", bar(base_mib, BAR_OF_BASE_MIB, " MiB"));
    Ok(())
}

/// Memory beside what so many tenants may take.
fn resident(count: usize, kib: usize) {
    let (mib, most) = (kib as f64 / 1024.0, BAR_OF_BASE_MIB + BAR_OF_TENANT_KIB * count as f64 / 1024.0);
    println!("{mib:.1} MiB resident with {count} tenants {}", bar(mib, most.round(), " MiB"));
}

/// Applies tenants up to `to` and waits until all are ready.
async fn grow(client: &Client, operator: &Running, from: usize, to: usize) -> Result<Duration> {
    let began = Instant::now();
    fleet::apply(client, from..to).await?;
    let ready = "cartera_operator_tenants{condition=\"Ready\",status=\"True\"}";
    until("ready tenants", || Ok(operator.sum(ready)? >= to as f64)).await?;
    Ok(began.elapsed())
}

/// Counts what is sent while nothing changes. What was begun ends before.
async fn at_rest(operator: &Running, seconds: u64) -> Result<()> {
    let requests = || operator.sum("cartera_operator_requests_total");
    let mut before = requests()?;
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let now = requests()?;
        if now <= before {
            break;
        }
        before = now;
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let sent = requests()? - before;
    println!("{sent} requests in {seconds} s at rest {}", bar(sent, 0.0, ""));
    Ok(())
}

/// Edits Services one after the other; each is put right.
async fn repaired(client: &Client, count: usize) -> Result<()> {
    let tenants: Api<Tenant> = Api::namespaced(client.clone(), fleet::HOME);
    let edit = json!({ "spec": { "selector": { "app.kubernetes.io/name": "other" } } });
    let mut took = Vec::new();
    for number in 0..EDITS {
        let tenant = tenants.get(&fleet::name(number * 7 % count)).await?;
        let services: Api<Service> = Api::namespaced(client.clone(), &names::namespace(&tenant));
        services.patch(names::SERVER, &PatchParams::default(), &Patch::Merge(&edit)).await?;
        let began = Instant::now();
        loop {
            let selector = services.get(names::SERVER).await?.spec.and_then(|spec| spec.selector).unwrap_or_default();
            if selector.get("app.kubernetes.io/name").map(String::as_str) == Some(names::SERVER) {
                break;
            }
            ensure!(began.elapsed() < Duration::from_mins(1), "an edit was not put right");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let [median, worst] = [EDITS / 2, EDITS * 99 / 100].map(|at| took[at].as_secs_f64());
    println!(
        "drift repaired after {median:.2} s at the median, {worst:.2} s at p99 {}",
        bar(worst, BAR_OF_REPAIR, " s")
    );
    Ok(())
}

async fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !holds()? {
        ensure!(began.elapsed() < Duration::from_mins(20), "in twenty minutes there were no {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The operator's process.
struct Running(Child);

impl Running {
    async fn start() -> Result<Self> {
        let this = std::env::current_exe().context("this program has a path")?;
        let child = Command::new(this).arg("serve").spawn().context("could not start the operator")?;
        let running = Self(child);
        until("answers of the operator", || Ok(get("/readyz").is_ok())).await?;
        Ok(running)
    }

    /// Kills it and starts another; how long until that one has looked at every tenant and has nothing to do.
    async fn restart(&mut self, count: usize) -> Result<Duration> {
        self.0.kill()?;
        self.0.wait()?;
        let began = Instant::now();
        *self = Self::start().await?;
        let tenants = "cartera_operator_reconciles_total{kind=\"tenant\"";
        until("reconciles", || {
            Ok(self.sum(tenants)? >= count as f64 && self.sum("cartera_operator_queue_length")? < 1.0)
        })
        .await?;
        Ok(began.elapsed())
    }

    fn resident_kib(&self) -> Result<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).context("the operator has ended")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("Linux tells VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// The sum of all measurements whose name and labels begin so.
    #[expect(clippy::unused_self, reason = "there is nothing to ask where none runs")]
    fn sum(&self, beginning: &str) -> Result<f64> {
        let told = get("/metrics")?;
        let values = told.lines().filter(|line| line.starts_with(beginning));
        Ok(values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended by itself, there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(path: &str) -> Result<String> {
    let answer = ureq::get(format!("http://127.0.0.1:{}{path}", serve::PORT)).call()?;
    Ok(answer.into_body().read_to_string()?)
}
