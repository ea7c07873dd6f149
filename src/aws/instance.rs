//! Which instance this machine is, as its metadata service says.

use crate::aws::http_client;
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::InstanceId;
use aws_config::imds::Client;
use aws_config::provider_config::ProviderConfig;
use std::time::Duration;

/// A metadata service answers in a millisecond; where there is none, nothing does.
const PATIENCE: Duration = Duration::from_secs(2);

/// The instance that this machine is (EC2 user guide, "instancedata-data-retrieval").
///
/// # Errors
/// `Refused` where nobody says: this is no instance, or its metadata service is switched off.
pub async fn this_instance() -> Result<InstanceId, Fault> {
    let unknown = |why: String| {
        Fault::new(Kind::Refused, Place::Service, format!("which instance this is is not known: {why}"))
            .hint("give --instance")
    };
    let config = ProviderConfig::without_region().with_http_client(http_client(true));
    let client = Client::builder()
        .configure(&config)
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .max_attempts(2)
        .build();
    let answer = client.get("/latest/meta-data/instance-id").await;
    let id =
        answer.map_err(|error| unknown("its metadata service does not answer".to_owned()).because(error))?;
    id.as_ref().trim().parse().map_err(|error| unknown(format!("{error}")))
}
