//! Which instance this machine is, and where, as its metadata service says.

use crate::aws::http_client;
use crate::fault::{Fault, Kind, Place};
use crate::snapshot::InstanceId;
use aws_config::imds::Client;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use std::time::Duration;

/// A metadata service answers in a millisecond; where there is none, nothing does.
const PATIENCE: Duration = Duration::from_secs(2);

/// The instance that this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThisInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its Availability Zone.
    pub zone: String,
}

/// Asks the metadata service, version 2 (EC2 user guide, "instancedata-data-retrieval").
///
/// # Errors
/// `Refused` where nobody says: this is no instance, or its metadata service is switched off.
pub async fn this_instance() -> Result<ThisInstance, Fault> {
    let config = ProviderConfig::without_region().with_http_client(http_client(true));
    let client = Client::builder()
        .configure(&config)
        .connect_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .max_attempts(2)
        .build();
    let told = async |path: &str| {
        let answer = client.get(path).await.map_err(|error| unknown(why(&error)).because(error))?;
        Ok::<_, Fault>(answer.as_ref().trim().to_owned())
    };
    let id = told("/latest/meta-data/instance-id").await?;
    let id = id.parse().map_err(|error| unknown(format!("its metadata service says {error}")))?;
    let zone = told("/latest/meta-data/placement/availability-zone").await?;
    Ok(ThisInstance { id, zone })
}

fn unknown(why: String) -> Fault {
    Fault::new(Kind::Refused, Place::Service, format!("which instance this is is not known: {why}"))
        .hint("give --instance")
}

fn why(error: &ImdsError) -> String {
    match error {
        ImdsError::ErrorResponse(refused) => {
            format!("its metadata service refuses with status {}", refused.response().status().as_u16())
        }
        ImdsError::FailedToLoadToken(token) if !token.is_dispatch_failure() => {
            "its metadata service gives no token".to_owned()
        }
        _ => "its metadata service does not answer".to_owned(),
    }
}
