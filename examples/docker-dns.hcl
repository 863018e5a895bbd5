# /etc/muster.d/dns.hcl -- names for containers: `docker run --dns 172.17.0.1 …`, or for all of them
# "dns": ["172.17.0.1"] in /etc/docker/daemon.json. Docker asks on port 53 and no other, at an
# address that containers reach: that of the host on Docker's bridge. HTTP stays on loopback.

ports {
  dns = 53
}
addresses {
  dns = "127.0.0.1 172.17.0.1"
}
# all other names: the name server of your network
recursors = ["192.0.2.53"]
