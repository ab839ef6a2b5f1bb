export { type ComparisonReportInput, renderComparison } from './comparison-report.js';
export { type ReportOptions, renderReport } from './report.js';
