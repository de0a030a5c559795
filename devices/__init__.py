"""What stands in the field: the domain's types, the town clock, town files, envelopes and payload codecs.

No database and no network. `devices.model` has the nouns and the tree of errors, `devices.town` reads the town,
`devices.envelopes` and `devices.codecs` read what devices say, `devices.clock` says what time it is.
"""
