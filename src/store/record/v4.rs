//! Records as version 4 wrote them, where version 5 has another form; versions 2 and 3 wrote the same. Nothing here is ever
//! changed.

use serde::Deserialize;
use uuid::Uuid;

use crate::model::{
    self, ApplicationNumber, ApplicationText, ApplicationTexts, Binding, BindingMode, Origin, ProviderNumber,
    Timestamp,
};

#[derive(Deserialize)]
pub(super) struct Application {
    number: ApplicationNumber,
    uuid: Uuid,
    slug: String,
    name: String,
    provider: Option<ProviderNumber>,
    mode: BindingMode,
    bindings: Vec<Binding>,
    group: String,
    launch_url: String,
    description: String,
    publisher: String,
    open_in_new_tab: bool,
    hide: bool,
    created: Timestamp,
    modified: Timestamp,
    origin: Origin,
}

impl From<Application> for model::Application {
    fn from(v4: Application) -> Self {
        let Application {
            number,
            uuid,
            slug,
            name,
            provider,
            mode,
            bindings,
            group,
            launch_url,
            description,
            publisher,
            open_in_new_tab,
            hide,
            created,
            modified,
            origin,
        } = v4;
        Self {
            number,
            uuid,
            slug,
            name,
            provider,
            mode,
            bindings,
            texts: application_texts([group, launch_url, description, publisher]),
            open_in_new_tab,
            hide,
            created,
            modified,
            origin,
        }
    }
}

/// The four texts that there were.
pub(super) fn application_texts(texts: [String; 4]) -> ApplicationTexts {
    use ApplicationText::{Description, Group, LaunchUrl, Publisher};
    [Group, LaunchUrl, Description, Publisher].into_iter().zip(texts).collect()
}
