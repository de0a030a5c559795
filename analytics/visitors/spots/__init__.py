"""地点: what counts for a place whose visitors are published, and its series over all changes of method and counter."""
