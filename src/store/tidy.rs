//! stub
use super::*;
impl Store {
    /// stub
    pub fn tidy(&mut self, now_ms: i64) -> Result<Tidied, StoreError> {
        todo!()
    }
}
