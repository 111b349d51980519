"""One machine of the local cloud, as processes: boots its user data, answers for its metadata, dies when the market says so."""
