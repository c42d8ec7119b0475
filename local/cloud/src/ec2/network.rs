//! As much of the network as clients look at.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, filters::Filter};
use crate::{wire::ApiError, world::Ctx};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Vpcs {
    #[serde(default, rename = "VpcId")]
    ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Subnets {
    #[serde(default, rename = "SubnetId")]
    ids: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
}

pub(super) fn vpcs(ctx: &mut Ctx<'_>, input: &Vpcs) -> Reply {
    let known = &ctx.view().ec2.vpcs;
    if let Some(missing) = input.ids.iter().find(|id| !known.contains(*id)) {
        let message = format!("The vpc ID '{missing}' does not exist");
        return Err(ApiError::sender("InvalidVpcID.NotFound", message));
    }
    let wanted = known
        .iter()
        .filter(|id| input.ids.is_empty() || input.ids.contains(id));
    let shown = wanted.map(|id| {
        json!({"vpcId": id, "state": "available", "cidrBlock": "127.0.0.0/8", "isDefault": false})
    });
    Ok(json!({"vpcSet": shown.collect::<Vec<_>>()}))
}

pub(super) fn subnets(ctx: &mut Ctx<'_>, input: &Subnets) -> Reply {
    let known = &ctx.view().ec2.subnets;
    if let Some(missing) = input.ids.iter().find(|id| !known.contains_key(*id)) {
        let message = format!("The subnet ID '{missing}' does not exist");
        return Err(ApiError::sender("InvalidSubnetID.NotFound", message));
    }
    let wanted = known.iter().filter(|(id, subnet)| {
        (input.ids.is_empty() || input.ids.contains(id))
            && input
                .filters
                .iter()
                .all(|filter| match filter.name.as_str() {
                    "vpc-id" => filter.accepts(&subnet.vpc),
                    "availability-zone" => filter.accepts(&subnet.zone),
                    _ => filter.accepts(id),
                })
    });
    let shown = wanted.map(|(id, subnet)| {
        json!({
            "subnetId": id,
            "vpcId": subnet.vpc,
            "availabilityZone": subnet.zone,
            "state": "available",
            "cidrBlock": "127.0.0.0/8",
            "availableIpAddressCount": 4096,
        })
    });
    Ok(json!({"subnetSet": shown.collect::<Vec<_>>()}))
}

pub(super) fn zones(ctx: &mut Ctx<'_>) -> Value {
    let subnets = ctx.view().ec2.subnets.values();
    let zones: BTreeSet<&String> = subnets.map(|subnet| &subnet.zone).collect();
    let region = &ctx.config.region;
    let shown = zones.into_iter().map(|zone| {
        json!({"zoneName": zone, "zoneState": "available", "regionName": region, "zoneType": "availability-zone"})
    });
    json!({"availabilityZoneInfo": shown.collect::<Vec<_>>()})
}
