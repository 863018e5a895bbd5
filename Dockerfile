# muster as an image: the Debian package, built here, on debian:bookworm-slim.
#
#     docker build -t muster .
#     docker run -d --name muster -v /var/run/docker.sock:/var/run/docker.sock -v muster:/data \
#         -p 8500:8500 -p 8600:53/udp muster -server -bootstrap
#
# What follows the image's name are arguments of `muster agent`, as people gave them to
# gliderlabs/consul-server and progrium/consul. Where Debian is not reached as the base image would:
# APT_SOURCES is a file for /etc/apt/sources.list.d (*.sources), APT_CONF one for /etc/apt/apt.conf.d.

FROM debian:bookworm-slim AS build
ARG APT_SOURCES=
ARG APT_CONF=
WORKDIR /src/muster
COPY image/with-apt image/build-depends image/
COPY script/packages script/libraft script/
COPY debian/control debian/
RUN image/with-apt script/libraft && image/with-apt image/build-depends
COPY . .
# What is missing in Build-Depends is missing here: nothing else was installed but a C compiler.
RUN DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage --build=binary --no-check-builddeps \
	--unsigned-changes --jobs=auto

FROM debian:bookworm-slim
ARG APT_SOURCES=
ARG APT_CONF=
COPY image/with-apt /usr/local/sbin/
COPY --from=build /src/muster_*.deb /tmp/muster/
# The service manager's files of the package are of no use here, and it needs no manual.
RUN with-apt apt-get install -y -q --no-install-recommends systemd-standalone-sysusers \
		/tmp/muster/*.deb && \
	mkdir -p /config /data && chown muster: /data && \
	rm -rf /tmp/muster /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old \
		/var/log/apt /var/log/dpkg.log /usr/local/sbin/with-apt
COPY image/image.json /etc/muster/

# The agents' own container is no service.
LABEL SERVICE_IGNORE=1
VOLUME /data
EXPOSE 53 53/udp 8300 8301 8301/udp 8500 8600 8600/udp
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
	CMD ["muster", "ready", "-data-dir", "/data"]
ENTRYPOINT ["muster", "agent", "-config-file=/etc/muster/image.json", "-config-dir=/config"]
