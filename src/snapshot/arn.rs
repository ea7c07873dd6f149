//! Amazon Resource Names of EC2 resources.

/// An ARN of a resource of EC2, taken apart: `arn:aws:ec2:us-east-1:123456789012:volume/vol-0a`. The ARNs of snapshots
/// name no account (IAM service authorization reference, "Actions, resources, and condition keys for Amazon EC2").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// The Region of the resource.
    pub region: &'a str,
    /// The account of the resource; empty where the ARN names none.
    pub account: &'a str,
    /// The type of the resource: `snapshot`, `volume`.
    pub kind: &'a str,
    /// The id of the resource.
    pub id: &'a str,
}

impl<'a> Arn<'a> {
    /// Takes an ARN apart; returns `None` for a text that is no ARN of an EC2 resource with a Region.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, "ec2", region, account, resource] = parts.as_slice() else { return None };
        let (kind, id) = resource.split_once('/')?;
        let is_whole = ![partition, region, kind, id].iter().any(|part| part.is_empty());
        is_whole.then_some(Self { region, account, kind, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_ec2_names_a_region_a_type_and_an_id() {
        let arn = Arn::parse("arn:aws-cn:ec2:cn-north-1::snapshot/snap-0a").unwrap();
        assert_eq!(arn, Arn { region: "cn-north-1", account: "", kind: "snapshot", id: "snap-0a" });
        let arn = Arn::parse("arn:aws:ec2:us-east-1:123456789012:volume/vol-0a").unwrap();
        assert_eq!((arn.account, arn.kind, arn.id), ("123456789012", "volume", "vol-0a"));
        for other in [
            "snap-0a",
            "arn:aws:ec2:::snapshot/snap-0a",
            "arn:aws:ec2:us-east-1::snapshot",
            "arn:aws:ec2:us-east-1::snapshot/",
            "arn:aws:s3:us-east-1::snapshot/snap-0a",
            "",
        ] {
            assert_eq!(Arn::parse(other), None, "{other}");
        }
    }
}
