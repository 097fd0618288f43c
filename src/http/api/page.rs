//! Lists, a page at a time: how they are asked for, and the envelope around them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::ordering_keys;
use super::refusal::CallRefusal;
use super::value::Empty;
use crate::registry::SearchWords;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// Which page it is, of how many.
    pub pagination: Pagination,
    /// What is on it.
    pub results: Vec<T>,
    /// Always empty here.
    pub autocomplete: Empty,
}

/// Which page of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pagination {
    /// The number of the next page; 0: there is none.
    pub next: usize,
    /// The number of the page before; 0: there is none.
    pub previous: usize,
    /// Items of the whole list.
    pub count: usize,
    /// The number of this page, from 1.
    pub current: usize,
    /// How many pages there are.
    pub total_pages: usize,
    /// The place of its first item in the whole list, from 1; 0: it is empty.
    pub start_index: usize,
    /// The place of its last item.
    pub end_index: usize,
}

/// How a list is asked for, whatever it is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) struct PageQuery {
    /// The number of the page, from 1.
    #[serde(default)]
    pub(super) page: Option<usize>,
    /// Items on a page.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub(super) page_size: Option<usize>,
    /// The fields that the list is ordered by, the first first; a `-` in front turns one round.
    #[serde(default)]
    pub(super) ordering: Option<String>,
    /// Words, twelve at most but of events, each of which stands in one of the fields that are searched, whatever its case.
    #[serde(default)]
    pub(super) search: Option<String>,
    /// The words of it, each once and in lower case, see [`PageQuery::with_words`].
    #[serde(skip)]
    pub(super) words: SearchWords,
}

impl PageQuery {
    /// The same page with so many items at most.
    pub(super) fn within(self, size_max: usize) -> Self {
        let size = self.page_size.unwrap_or(PAGE_SIZE).min(size_max);
        Self { page_size: Some(size), ..self }
    }

    /// The place of the first item of the page in the whole list, from 0, and how many items a page has.
    pub(super) fn span(&self) -> (usize, usize) {
        let size = self.page_size.unwrap_or(PAGE_SIZE).max(1);
        (self.page.unwrap_or(1).saturating_sub(1).saturating_mul(size), size)
    }

    /// The page of a list of `count` items, without those that are on it.
    ///
    /// # Errors
    /// There is no such page.
    pub(super) fn envelope<V>(&self, count: usize) -> Result<Page<V>, CallRefusal> {
        let (first, size) = self.span();
        let total_pages = count.div_ceil(size).max(1);
        let current = self.page.unwrap_or(1);
        if current == 0 || current > total_pages {
            return Err(CallRefusal::not_found_because("Invalid page."));
        }
        Ok(Page {
            pagination: Pagination {
                next: if current < total_pages { current + 1 } else { 0 },
                previous: current - 1,
                count,
                current,
                total_pages,
                start_index: if count == 0 { 0 } else { first + 1 },
                end_index: count.min(first.saturating_add(size)),
            },
            results: Vec::new(),
            autocomplete: Empty {},
        })
    }

    /// The fields that the list is ordered by, and whether each is turned round.
    pub(super) fn ordering_keys(&self) -> impl Iterator<Item = (&str, bool)> {
        let ordering = self.ordering.as_deref().filter(|ordering| !ordering.is_empty());
        ordering.into_iter().flat_map(ordering_keys)
    }

    /// The same, for a list in which each word that is searched for has to stand somewhere.
    ///
    /// # Errors
    /// There are too many: each is looked for in each item.
    pub(super) fn with_words(mut self) -> Result<Self, CallRefusal> {
        self.words = SearchWords::of(self.search.as_deref().unwrap_or_default());
        let count = self.words.count();
        if count > SEARCH_WORDS_MAX {
            let message = format!("there are {count} words: give it {SEARCH_WORDS_MAX} at most");
            return Err(CallRefusal::field("search", message));
        }
        Ok(self)
    }

    /// Whether the text that is searched for stands in one of these. As in authentik: every word must be found somewhere.
    pub(super) fn finds<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        self.words.stand_in(texts)
    }

    /// Whether a search is asked for at all.
    pub(super) fn is_searched(&self) -> bool {
        !self.words.is_empty()
    }
}

/// Words that a list is searched for at a time.
/// No limit of the config: nobody types more, and each is one way more to say the same.
const SEARCH_WORDS_MAX: usize = 12;
/// Items on a page when nothing is said.
const PAGE_SIZE: usize = 20;
