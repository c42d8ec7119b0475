//! Systems Manager: whether a command could run on a host, before one is sent.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ssm::types::{
    DocumentDescription, DocumentStatus, DocumentType, InstanceInformationStringFilter, PingStatus,
};

use super::{
    errors,
    gate::Deadline,
    ssm::{Ssm, read},
};
use crate::{
    cloud::{Caller, Error, error::cut},
    plan::Document,
};

/// How many hosts one request names, and how many a page lists: the most that a page may have.
const HOSTS_IN_A_REQUEST: usize = 50;
const HOSTS_ON_A_PAGE: i32 = 50;

/// How much is kept of the words of AWS on a document, in bytes.
const REASON_KEPT: usize = 256;

/// How much a message shows of a document's name: an ARN may be this long.
const NAME_SHOWN: usize = 256;

impl Ssm {
    /// Those of these hosts whose agent is online. A host that Systems Manager does not know is not
    /// listed.
    pub(super) async fn agents(
        &self,
        caller: &Caller,
        instances: &[String],
        deadline: Deadline,
    ) -> Result<BTreeSet<String>, Error> {
        let mut online = BTreeSet::new();
        for hosts in instances.chunks(HOSTS_IN_A_REQUEST) {
            self.online(caller, hosts, deadline, &mut online).await?;
        }
        Ok(online)
    }

    async fn online(
        &self,
        caller: &Caller,
        hosts: &[String],
        deadline: Deadline,
        online: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        let thing = match hosts {
            [one] => format!("the agent of {one}"),
            several => format!("the agents of {} instances", several.len()),
        };
        let call = read("DescribeInstanceInformation", &thing, caller);
        let filter = InstanceInformationStringFilter::builder()
            .key("InstanceIds")
            .set_values(Some(hosts.to_vec()))
            .build()
            .map_err(|_| errors::incomplete(&call, "filter"))?;
        let mut token = None;
        loop {
            let request = self
                .client
                .describe_instance_information()
                .filters(filter.clone())
                .max_results(HOSTS_ON_A_PAGE)
                .set_next_token(token);
            let page = self.gate.pass(&call, deadline, request.send()).await?;
            let listed = page
                .instance_information_list
                .ok_or_else(|| errors::incomplete(&call, "list of hosts"))?;
            let found = listed
                .into_iter()
                .filter(|host| host.ping_status() == Some(&PingStatus::Online))
                .filter_map(|host| host.instance_id)
                .filter(|id| hosts.contains(id));
            online.extend(found);
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(());
            }
        }
    }

    pub(super) async fn document(
        &self,
        caller: &Caller,
        name: &str,
        deadline: Deadline,
    ) -> Result<Document, Error> {
        let thing = format!("document {}", cut(name.to_owned(), NAME_SHOWN));
        let call = read("DescribeDocument", &thing, caller);
        let request = self.client.describe_document().name(name);
        let answer = self.gate.pass(&call, deadline, request.send()).await?;
        let document = answer
            .document
            .ok_or_else(|| errors::incomplete(&call, "document"))?;
        // A document of another account is asked for by its ARN, and one of AWS by either.
        let last = |name: &str| name.rsplit('/').next().map(str::to_owned);
        if document.name().and_then(last) != last(name) {
            return Err(errors::foreign(&call, "another document"));
        }
        let parameters = document
            .parameters()
            .iter()
            .map(|parameter| {
                let name = parameter.name()?.to_owned();
                Some((name, parameter.default_value().is_none()))
            })
            .collect::<Option<BTreeMap<_, _>>>()
            .ok_or_else(|| errors::incomplete(&call, "name of a parameter"))?;
        Ok(Document {
            unusable: unusable(&document),
            parameters,
        })
    }
}

/// Why no command can run a document.
fn unusable(document: &DocumentDescription) -> Option<String> {
    let kind = document.document_type();
    if kind != Some(&DocumentType::Command) {
        let kind = kind.map_or("unknown", |kind| kind.as_str());
        return Some(cut(
            format!("it is of type {kind}, and not of type Command"),
            REASON_KEPT,
        ));
    }
    let status = document.status();
    if status == Some(&DocumentStatus::Active) {
        return None;
    }
    let status = status.map_or("unknown", |status| status.as_str());
    let more = document
        .status_information()
        .map(|more| format!(": {more}"))
        .unwrap_or_default();
    Some(cut(format!("it is {status}{more}"), REASON_KEPT))
}
