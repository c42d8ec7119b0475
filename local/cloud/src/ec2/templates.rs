//! Launch templates and their versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, TagSpecification, filters::Filter, model::Ec2, tags};
use crate::{
    events::EventKind,
    paging::ByToken,
    wire::ApiError,
    world::{Ctx, iso},
};

#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) id: String,
    name: String,
    created: Timestamp,
    default: u64,
    versions: BTreeMap<u64, Version>,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
struct Version {
    created: Timestamp,
    description: Option<String>,
    data: TemplateData,
}

/// The parameters of a launch that a template gives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TemplateData {
    pub(super) image_id: Option<String>,
    pub(super) instance_type: Option<String>,
    pub(super) subnet_id: Option<String>,
    pub(super) user_data: Option<String>,
    pub(super) disable_api_termination: Option<bool>,
    #[serde(default, rename = "TagSpecification")]
    pub(super) tag_specifications: Vec<TagSpecification>,
}

/// Which template, and which of its versions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Reference {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    version: Option<String>,
}

/// What a reference led to.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) data: TemplateData,
    /// The template's id and the version's number.
    pub(super) provenance: Option<(String, u64)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    launch_template_name: String,
    version_description: Option<String>,
    launch_template_data: TemplateData,
    #[serde(default, rename = "TagSpecification")]
    tag_specifications: Vec<TagSpecification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateVersion {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    source_version: Option<String>,
    version_description: Option<String>,
    launch_template_data: TemplateData,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Modify {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(rename = "SetDefaultVersion")]
    default_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Describe {
    #[serde(default, rename = "LaunchTemplateId")]
    ids: Vec<String>,
    #[serde(default, rename = "LaunchTemplateName")]
    names: Vec<String>,
    #[serde(default, rename = "Filter")]
    filters: Vec<Filter>,
    #[serde(flatten)]
    page: ByToken,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeVersions {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    #[serde(default, rename = "LaunchTemplateVersion")]
    versions: Vec<String>,
    #[serde(flatten)]
    page: ByToken,
}

pub(super) fn create(ctx: &mut Ctx<'_>, input: Create) -> Reply {
    let name = input.launch_template_name;
    if ctx
        .ec2()
        .templates
        .values()
        .any(|template| template.name == name)
    {
        return Err(ApiError::sender(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            format!("Launch template name already in use: {name}"),
        ));
    }
    let id = format!("lt-{}", ctx.hex(17));
    let own = input.tag_specifications.iter();
    let own = own.filter(|tags| tags.resource_type == "launch-template");
    let version = Version {
        created: ctx.now,
        description: input.version_description,
        data: input.launch_template_data,
    };
    let template = Template {
        id: id.clone(),
        name,
        created: ctx.now,
        default: 1,
        versions: BTreeMap::from([(1, version)]),
        tags: own.flat_map(|one| tags::map(&one.tags)).collect(),
    };
    let shown = show(&template);
    ctx.ec2().templates.insert(id.clone(), template);
    let arn = ctx.arn("ec2", &format!("launch-template/{id}"));
    ctx.touch(arn);
    ctx.event(EventKind::Created, id, "launch template");
    Ok(json!({"launchTemplate": shown}))
}

pub(super) fn create_version(ctx: &mut Ctx<'_>, input: CreateVersion) -> Reply {
    let reference = Reference {
        launch_template_id: input.launch_template_id,
        launch_template_name: input.launch_template_name,
        version: input.source_version.clone(),
    };
    let (id, _) = find(ctx.ec2(), &reference)?;
    // What the new version leaves open it takes from the source.
    let source = match input.source_version {
        Some(_) => choose(ctx.ec2(), &reference)?.data,
        None => TemplateData::default(),
    };
    let data = merge(input.launch_template_data, source);
    let created = ctx.now;
    let arn = ctx.arn("ec2", &format!("launch-template/{id}"));
    ctx.touch(arn);
    ctx.event(EventKind::Modified, id.clone(), "launch template version");
    let Some(template) = ctx.ec2().templates.get_mut(&id) else {
        return Err(missing(&id));
    };
    let number = latest(template) + 1;
    let version = Version {
        created,
        description: input.version_description,
        data,
    };
    template.versions.insert(number, version);
    Ok(json!({"launchTemplateVersion": show_version(template, number)}))
}

fn merge(new: TemplateData, source: TemplateData) -> TemplateData {
    TemplateData {
        image_id: new.image_id.or(source.image_id),
        instance_type: new.instance_type.or(source.instance_type),
        subnet_id: new.subnet_id.or(source.subnet_id),
        user_data: new.user_data.or(source.user_data),
        disable_api_termination: new
            .disable_api_termination
            .or(source.disable_api_termination),
        tag_specifications: if new.tag_specifications.is_empty() {
            source.tag_specifications
        } else {
            new.tag_specifications
        },
    }
}

pub(super) fn modify(ctx: &mut Ctx<'_>, input: &Modify) -> Reply {
    let reference = Reference {
        launch_template_id: input.launch_template_id.clone(),
        launch_template_name: input.launch_template_name.clone(),
        version: Some(input.default_version.clone()),
    };
    let (id, number) = find(ctx.ec2(), &reference)?;
    ctx.event(
        EventKind::Modified,
        id.clone(),
        format!("default version {number}"),
    );
    let Some(template) = ctx.ec2().templates.get_mut(&id) else {
        return Err(missing(&id));
    };
    template.default = number;
    Ok(json!({"launchTemplate": show(template)}))
}

pub(super) fn describe(ctx: &mut Ctx<'_>, input: &Describe) -> Reply {
    let templates = &ctx.view().ec2.templates;
    for id in &input.ids {
        if !templates.contains_key(id) {
            return Err(missing(id));
        }
    }
    for name in &input.names {
        if !templates.values().any(|template| template.name == *name) {
            return Err(missing_name(name));
        }
    }
    let found = templates.values().filter(|template| {
        let tagged = |filter: &Filter| tags::filter(filter, &template.tags);
        (input.ids.is_empty() || input.ids.contains(&template.id))
            && (input.names.is_empty() || input.names.contains(&template.name))
            && input
                .filters
                .iter()
                .all(|filter| match filter.name.as_str() {
                    "launch-template-name" => filter.accepts(&template.name),
                    _ => tagged(filter).unwrap_or(false),
                })
    });
    let shown = found.map(show).collect();
    input.page.ec2("launchTemplates", shown, (1, 200))
}

pub(super) fn describe_versions(ctx: &mut Ctx<'_>, input: &DescribeVersions) -> Reply {
    let ec2 = &ctx.view().ec2;
    let reference = |version: Option<String>| Reference {
        launch_template_id: input.launch_template_id.clone(),
        launch_template_name: input.launch_template_name.clone(),
        version,
    };
    let (id, _) = find(ec2, &reference(None))?;
    let template = &ec2.templates[&id];
    let mut numbers: Vec<u64> = Vec::new();
    for version in &input.versions {
        numbers.push(find(ec2, &reference(Some(version.clone())))?.1);
    }
    if input.versions.is_empty() {
        numbers.extend(template.versions.keys());
    }
    let shown = numbers
        .into_iter()
        .map(|number| show_version(template, number))
        .collect();
    input.page.ec2("launchTemplateVersionSet", shown, (1, 200))
}

/// What a launch from this reference is given.
pub(super) fn choose(ec2: &Ec2, reference: &Reference) -> Result<Chosen, ApiError> {
    let (id, number) = find(ec2, reference)?;
    Ok(Chosen {
        data: ec2.templates[&id].versions[&number].data.clone(),
        provenance: Some((id, number)),
    })
}

/// The template's id and the version's number.
fn find(ec2: &Ec2, reference: &Reference) -> Result<(String, u64), ApiError> {
    let by_name = |name: &String| {
        ec2.templates
            .values()
            .find(|template| template.name == *name)
    };
    let template = match (
        &reference.launch_template_id,
        &reference.launch_template_name,
    ) {
        (Some(id), None) => ec2.templates.get(id).ok_or_else(|| missing(id))?,
        (None, Some(name)) => by_name(name).ok_or_else(|| missing_name(name))?,
        _ => {
            return Err(ApiError::sender(
                "MissingParameter",
                "either a launch template id or a name must be given, and not both",
            ));
        }
    };
    let number = match reference.version.as_deref() {
        None | Some("$Default") => template.default,
        Some("$Latest") => latest(template),
        Some(number) => number.parse().unwrap_or(0),
    };
    if !template.versions.contains_key(&number) {
        return Err(ApiError::sender(
            "InvalidLaunchTemplateId.VersionNotFound",
            format!(
                "Could not find the specified version {number} for the launch template with ID {}.",
                template.id
            ),
        ));
    }
    Ok((template.id.clone(), number))
}

fn latest(template: &Template) -> u64 {
    template.versions.keys().next_back().copied().unwrap_or(1)
}

fn missing(id: &str) -> ApiError {
    ApiError::sender(
        "InvalidLaunchTemplateId.NotFound",
        format!("The specified launch template, with template ID {id}, does not exist."),
    )
}

fn missing_name(name: &str) -> ApiError {
    ApiError::sender(
        "InvalidLaunchTemplateName.NotFoundException",
        format!("The specified launch template, with template name {name}, does not exist."),
    )
}

fn show(template: &Template) -> Value {
    json!({
        "launchTemplateId": template.id,
        "launchTemplateName": template.name,
        "createTime": iso(template.created),
        "createdBy": "simulated",
        "defaultVersionNumber": template.default,
        "latestVersionNumber": latest(template),
        "tagSet": tags::show(&template.tags),
    })
}

fn show_version(template: &Template, number: u64) -> Value {
    let Version {
        created,
        description,
        data,
    } = &template.versions[&number];
    let specifications: Vec<Value> = data
        .tag_specifications
        .iter()
        .map(|one| json!({"resourceType": one.resource_type, "tagSet": tags::show(&tags::map(&one.tags))}))
        .collect();
    json!({
        "launchTemplateId": template.id,
        "launchTemplateName": template.name,
        "versionNumber": number,
        "versionDescription": description,
        "createTime": iso(*created),
        "createdBy": "simulated",
        "defaultVersion": number == template.default,
        "launchTemplateData": {
            "imageId": data.image_id,
            "instanceType": data.instance_type,
            "userData": data.user_data,
            "disableApiTermination": data.disable_api_termination,
            "tagSpecificationSet": specifications,
        },
    })
}
