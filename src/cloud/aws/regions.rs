//! The regions of AWS.

/// A partition and its regions.
type Partition = (&'static str, &'static [&'static str]);

/// The partition of nearly everybody.
pub(super) const DEFAULT: Partition = (
    "aws",
    &[
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ],
);

/// The regions of each partition, as AWS listed them in November 2026. Credentials of one partition
/// are worth nothing in another.
const PARTITIONS: [Partition; 8] = [
    DEFAULT,
    ("aws-cn", &["cn-north-1", "cn-northwest-1"]),
    ("aws-eusc", &["eusc-de-east-1"]),
    ("aws-iso", &["us-iso-east-1", "us-iso-west-1"]),
    ("aws-iso-b", &["us-isob-east-1", "us-isob-west-1"]),
    ("aws-iso-e", &["eu-isoe-west-1"]),
    ("aws-iso-f", &["us-isof-east-1", "us-isof-south-1"]),
    ("aws-us-gov", &["us-gov-east-1", "us-gov-west-1"]),
];

/// The partition of a region that AWS has, and the regions of that partition.
pub(super) fn partition_of(region: &str) -> Option<Partition> {
    PARTITIONS
        .into_iter()
        .find(|(_, regions)| regions.contains(&region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_one_partition_or_in_none() {
        for (partition, regions) in PARTITIONS {
            assert!(regions.is_sorted(), "{partition}");
            for region in regions {
                assert_eq!(partition_of(region).unwrap().0, partition, "{region}");
            }
        }
        for unknown in ["zz-aa-1", "eu-west-9", "EU-WEST-1", "", "eu-west-1 "] {
            assert_eq!(partition_of(unknown), None, "{unknown}");
        }
    }
}
