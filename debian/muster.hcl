# /etc/muster.d/muster.hcl: all *.json and *.hcl here are read, in order of name.
# man muster.conf lists every key; muster validate /etc/muster.d reads them first.

data_dir = "/var/lib/muster"

# advertise_addr = "10.0.0.1"
# encrypt        = "what muster keygen printed, the same on every host"
# retry_join     = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

# On three hosts: keys, sessions and locks are kept there.
# server           = true
# bootstrap_expect = 3
