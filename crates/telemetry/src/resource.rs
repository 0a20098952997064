//! Who we are: the attributes that every span of this process shares.

use std::borrow::Cow;

/// Attributes of the resource, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    service_name: String,
    attributes: Vec<(Cow<'static, str>, String)>,
}

impl Resource {
    /// A resource with a name, and `telemetry.sdk.*`: the record is our own, so the SDK is named after us, as
    /// OpenTelemetry demands of all but its own (`opentelemetry` is reserved).
    pub fn new(service_name: impl Into<String>) -> Resource {
        let service_name = service_name.into();
        let attributes = vec![
            ("service.name".into(), service_name.clone()),
            ("telemetry.sdk.name".into(), "semantic-router".to_owned()),
            ("telemetry.sdk.language".into(), "rust".to_owned()),
            ("telemetry.sdk.version".into(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        Resource { service_name, attributes }
    }

    /// Sets `service.version`.
    pub fn version(self, version: impl Into<String>) -> Resource {
        self.attribute("service.version", version)
    }

    /// Sets `service.instance.id`.
    pub fn instance(self, id: impl Into<String>) -> Resource {
        self.attribute("service.instance.id", id)
    }

    /// Sets `deployment.environment.name` and the older `deployment.environment`, which older tools query.
    pub fn environment(self, name: impl Into<String>) -> Resource {
        let name = name.into();
        self.attribute("deployment.environment.name", name.clone()).attribute("deployment.environment", name)
    }

    /// Sets any attribute; a later value replaces an earlier one. `service.name` is set by [`Resource::new`].
    pub fn attribute(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Resource {
        let (key, value) = (key.into(), value.into());
        match self.attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) if key != "service.name" => *old = value,
            Some(_) => {}
            None => self.attributes.push((key, value)),
        }
        self
    }

    /// `service.name`.
    pub fn service_name(&self) -> &str {
        &self.service_name
    }

    /// All attributes.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(key, value)| (key.as_ref(), value.as_str()))
    }
}
