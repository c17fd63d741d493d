//! stub
#[derive(Debug, Default)]
pub(super) struct Known;
