//! stub
use super::*;
impl Store {
    /// stub
    pub fn register(
        &mut self,
        metrics: &[MetricPlan],
        logs: &[LogPlan],
        outputs: &[OutputPlan],
        now_ms: i64,
    ) -> Result<Registry, StoreError> {
        todo!()
    }
    /// stub
    pub fn files(&self, log: usize) -> Result<Vec<FileRow>, StoreError> {
        todo!()
    }
    /// stub
    pub fn watermark(&self, log: usize) -> Result<Option<i64>, StoreError> {
        todo!()
    }
}
