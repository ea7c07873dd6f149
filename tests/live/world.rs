//! The account that is asked, through AWS's own clients, with everything it does counted, tagged and cleaned up.

use crate::live::budget::{Budget, Spends};
use crate::live::transcript::Transcript;
use aws_sdk_ebs::primitives::ByteStream;
use aws_sdk_ebs::types::ChecksumAlgorithm;
use aws_sdk_ec2::types::{Filter, ResourceType, Snapshot, SnapshotState, Tag, TagSpecification, VolumeState};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use icecore::aws::Session;
use icecore::block::Digest;
use icecore::monitor::ManualClock;
use icecore::snapshot::VolumeId;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// On everything a run makes; its value names the run.
pub(crate) const TAG: &str = "icecore:live";

/// Whose time it is.
#[derive(Clone, Debug)]
pub(crate) enum Time {
    /// Everybody's. A wait that is longer than this is left out.
    Real { patience: Duration },
    /// An endpoint's of our own.
    Moved(Arc<ManualClock>),
}

/// The instance that a volume can be attached to, and where its devices appear.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) instance: String,
    pub(crate) by_id: PathBuf,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) ebs: aws_sdk_ebs::Client,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) region: String,
    pub(crate) host: Option<Host>,
    pub(crate) budget: Budget,
    run: String,
    time: Time,
    transcript: Mutex<Transcript>,
}

impl World {
    pub(crate) fn new(session: &Session, run: &str, time: Time, host: Option<Host>, plan: Spends) -> Self {
        Self {
            ebs: aws_sdk_ebs::Client::new(session.config()),
            ec2: aws_sdk_ec2::Client::new(session.config()),
            region: session.region().to_owned(),
            host,
            budget: Budget::of(plan),
            run: run.to_owned(),
            time,
            transcript: Mutex::default(),
        }
    }

    pub(crate) fn say(&self, line: impl AsRef<str>) {
        self.transcript.lock().unwrap().line(line.as_ref());
    }

    pub(crate) fn hide(&self, secret: &str) {
        self.transcript.lock().unwrap().hide(secret);
    }

    pub(crate) fn told(&self) -> String {
        self.transcript.lock().unwrap().text().to_owned()
    }

    /// Whether so long a wait is not too long.
    pub(crate) fn has_time_for(&self, wait: Duration) -> bool {
        match &self.time {
            Time::Real { patience } => wait <= *patience,
            Time::Moved(_) => true,
        }
    }

    pub(crate) async fn wait(&self, time: Duration) {
        match &self.time {
            Time::Real { .. } => tokio::time::sleep(time).await,
            Time::Moved(clock) => clock.advance(time),
        }
    }

    /// Looks every five seconds until there is something to see; gives how many seconds it took.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> (T, u64) {
        for round in 0..180 {
            if let Some(seen) = look().await {
                return (seen, round * 5);
            }
            self.wait(Duration::from_secs(5)).await;
        }
        panic!("{what}: not after a quarter of an hour");
    }

    /// The tag that makes it ours, for snapshots and volumes.
    pub(crate) fn tags(&self, kind: ResourceType) -> TagSpecification {
        let tag = Tag::builder().key(TAG).value(&self.run).build();
        TagSpecification::builder().resource_type(kind).tags(tag).build()
    }

    /// Starts a snapshot.
    pub(crate) async fn start(
        &self,
        gib: i64,
        parent: Option<&str>,
        encrypted: bool,
        minutes: i32,
    ) -> String {
        let tag = aws_sdk_ebs::types::Tag::builder().key(TAG).value(&self.run).build();
        let request = self.ebs.start_snapshot().volume_size(gib).tags(tag).timeout(minutes);
        let request = request.set_parent_snapshot_id(parent.map(str::to_owned));
        let request = request.set_encrypted(encrypted.then_some(true));
        request.send().await.expect("StartSnapshot").snapshot_id.unwrap()
    }

    /// Writes a block full of one byte. AWS may not know a snapshot for a while after it was started.
    pub(crate) async fn put(&self, id: &str, index: i32, byte: u8) {
        self.budget.put();
        let bytes = vec![byte; 524_288];
        let checksum = Digest::of(&bytes).to_base64();
        let sent = async || {
            let request =
                self.ebs.put_snapshot_block().snapshot_id(id).block_index(index).data_length(524_288);
            let request =
                request.checksum(&checksum).checksum_algorithm(ChecksumAlgorithm::ChecksumAlgorithmSha256);
            match request.block_data(ByteStream::from(bytes.clone())).send().await {
                Ok(_) => Some(()),
                Err(error) if raw(&error).starts_with("404 ") => None,
                Err(error) => panic!("PutSnapshotBlock: {}", raw(&error)),
            }
        };
        self.until("PutSnapshotBlock", sent).await;
    }

    /// Ends a snapshot, and waits until it is completed.
    pub(crate) async fn complete(&self, id: &str, blocks: i32) {
        self.ebs
            .complete_snapshot()
            .snapshot_id(id)
            .changed_blocks_count(blocks)
            .send()
            .await
            .expect("Complete");
        self.completed(id).await;
    }

    pub(crate) async fn completed(&self, id: &str) {
        let state = async || match self.describe(id).await.state {
            Some(SnapshotState::Completed) => Some(()),
            Some(SnapshotState::Error) => panic!("{id} ended in error"),
            _ => None,
        };
        self.until("completed", state).await;
    }

    pub(crate) async fn describe(&self, id: &str) -> Snapshot {
        let found = self.ec2.describe_snapshots().snapshot_ids(id).send().await.expect("DescribeSnapshots");
        found.snapshots.unwrap().remove(0)
    }

    /// The snapshots and volumes of runs that are meant, by their tag.
    pub(crate) async fn leftovers(&self, meant: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
        let filter = || Filter::builder().name("tag-key").values(TAG).build();
        let is_meant = |tags: &Option<Vec<Tag>>| {
            let mut tags = tags.iter().flatten().filter(|tag| tag.key() == Some(TAG));
            tags.any(|tag| meant(tag.value().unwrap_or_default()))
        };
        let found = self.ec2.describe_snapshots().owner_ids("self").filters(filter()).send().await;
        let snapshots = found.expect("DescribeSnapshots").snapshots.unwrap_or_default().into_iter();
        let snapshots = snapshots.filter(|one| is_meant(&one.tags)).filter_map(|one| one.snapshot_id);
        let found = self.ec2.describe_volumes().filters(filter()).send().await.expect("DescribeVolumes");
        let volumes = found.volumes.unwrap_or_default().into_iter();
        let volumes = volumes.filter(|one| is_meant(&one.tags)).filter_map(|one| one.volume_id);
        (snapshots.collect(), volumes.collect())
    }

    /// Deletes all that this run made, and what runs left that began before this second of 1970's. What could not be
    /// deleted is told.
    pub(crate) async fn clean_up(&self, before: u64) -> Vec<String> {
        let meant = |run: &str| {
            let began = run.strip_prefix("live-").and_then(|began| began.parse::<u64>().ok());
            run == self.run || began.is_some_and(|began| began < before)
        };
        for _ in 0..60 {
            let (snapshots, volumes) = self.leftovers(meant).await;
            if snapshots.is_empty() && volumes.is_empty() {
                return Vec::new();
            }
            for id in &volumes {
                // One that is attached is detached first; one that goes already refuses both.
                let _ = self.ec2.detach_volume().volume_id(id).send().await;
                let _ = self.ec2.delete_volume().volume_id(id).send().await;
            }
            for id in &snapshots {
                let _ = self.ec2.unlock_snapshot().snapshot_id(id).send().await;
                let _ = self.ec2.delete_snapshot().snapshot_id(id).send().await;
            }
            self.wait(Duration::from_secs(5)).await;
        }
        let (snapshots, volumes) = self.leftovers(meant).await;
        snapshots.into_iter().chain(volumes).collect()
    }

    /// A volume of a snapshot, attached: its id and its device.
    pub(crate) async fn restored(&self, snapshot: &str, host: &Host) -> (String, PathBuf) {
        let found = self.ec2.describe_instances().instance_ids(&host.instance).send().await;
        let found =
            found.expect("DescribeInstances").reservations.unwrap().remove(0).instances.unwrap().remove(0);
        let zone = found.placement.unwrap().availability_zone.unwrap();
        let request = self.ec2.create_volume().snapshot_id(snapshot).availability_zone(zone);
        let request = request.volume_type(aws_sdk_ec2::types::VolumeType::Gp3);
        let made = request.tag_specifications(self.tags(ResourceType::Volume)).send().await;
        let id = made.expect("CreateVolume").volume_id.unwrap();
        let state = async || {
            let found = self.ec2.describe_volumes().volume_ids(&id).send().await.ok()?;
            found.volumes?.remove(0).state.filter(|state| *state == VolumeState::Available)
        };
        self.until("available", state).await;
        let request = self.ec2.attach_volume().volume_id(&id).instance_id(&host.instance).device("/dev/sdp");
        request.send().await.expect("AttachVolume");
        let device = host.by_id.join(id.parse::<VolumeId>().unwrap().device_name());
        self.until("its device", async || device.exists().then_some(())).await;
        (id, device)
    }
}

/// An answer that is no success, as it came: status, what tells its kind and when to come back, body.
pub(crate) fn raw<E>(error: &SdkError<E, HttpResponse>) -> String {
    let Some(response) = error.raw_response() else { return "no answer".to_owned() };
    let header = |name: &str| response.headers().get(name).map(|value| format!("{name}: {value}; "));
    let headers = ["x-amzn-errortype", "retry-after"].into_iter().filter_map(header).collect::<String>();
    let body = response.body().bytes().map(|bytes| String::from_utf8_lossy(bytes).replace('\n', ""));
    format!("{} {headers}{}", response.status().as_u16(), body.unwrap_or_default())
}
