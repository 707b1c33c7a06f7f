"""What Kibana shows of Bothways: data views and a dashboard as saved objects, and the way into a Kibana."""
