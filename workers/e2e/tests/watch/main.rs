//! What watches the system: rules that are tried, runbooks that exist, dashboards that show data.

mod dashboards;
mod live;
mod rules;
mod runbooks;
mod shipped;
