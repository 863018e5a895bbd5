/* agent/host_io.c -- memory, processors, system, disk: one object each.
 *
 * Names as gopsutil's, which Consul prints. Sources: proc(5), os-release(5).
 */
#include "agent/host_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define HOST_LINE_MAX 4096
#define HOST_CPUS_MAX 1024

/* ---- memory ---- */

static const struct {
	const char *proc, *name;
} memory_rows[] = {
	{ "MemTotal", "total" },
	{ "MemAvailable", "available" },
	{ "MemFree", "free" },
	{ "Active", "active" },
	{ "Inactive", "inactive" },
	{ "Buffers", "buffers" },
	{ "Cached", "cached" },
	{ "Writeback", "writeback" },
	{ "Dirty", "dirty" },
	{ "WritebackTmp", "writebacktmp" },
	{ "Shmem", "shared" },
	{ "Slab", "slab" },
	{ "SReclaimable", "sreclaimable" },
	{ "SUnreclaim", "sunreclaim" },
	{ "PageTables", "pagetables" },
	{ "SwapCached", "swapcached" },
	{ "CommitLimit", "commitlimit" },
	{ "Committed_AS", "committedas" },
	{ "HighTotal", "hightotal" },
	{ "HighFree", "highfree" },
	{ "LowTotal", "lowtotal" },
	{ "LowFree", "lowfree" },
	{ "SwapTotal", "swaptotal" },
	{ "SwapFree", "swapfree" },
	{ "Mapped", "mapped" },
	{ "VmallocTotal", "vmalloctotal" },
	{ "VmallocUsed", "vmallocused" },
	{ "VmallocChunk", "vmallocchunk" },
	{ "HugePages_Total", "hugepagestotal" },
	{ "HugePages_Free", "hugepagesfree" },
	{ "Hugepagesize", "hugepagesize" },
};
#define MEMORY_COUNT (sizeof memory_rows / sizeof memory_rows[0])

static void
memory_read(uint64_t values[MEMORY_COUNT])
{
	char line[256], name[64];
	unsigned long long v;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%63[^:]: %llu", name, &v) != 2)
			continue;
		for (size_t i = 0; i < MEMORY_COUNT; i++)
			if (strcmp(name, memory_rows[i].proc) == 0)
				values[i] = strstr(line, " kB") != NULL ? v * 1024 : v;
	}
	if (f != NULL)
		fclose(f);
}

static double
percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void
memory_write(struct jw *w)
{
	uint64_t v[MEMORY_COUNT] = { 0 }, used;

	memory_read(v);
	used = v[0] > v[1] ? v[0] - v[1] : 0;
	jw_object(w);
	for (size_t i = 0; i < MEMORY_COUNT; i++)
		jw_ku64(w, memory_rows[i].name, v[i]);
	jw_ku64(w, "used", used);
	jw_key(w, STR("usedPercent"));
	jw_f64(w, percent(used, v[0]));
	jw_ku64(w, "wired", 0);
	jw_ku64(w, "laundry", 0);
	jw_object_end(w);
}

/* ---- processors ---- */

struct cpu {
	int64_t number, stepping, cache;
	char vendor[64], family[16], model[16], name[128], physical[16], core[16], microcode[32];
	double mhz;
	char flags[HOST_LINE_MAX];
};

static void
cpu_write(struct jw *w, const struct cpu *c)
{
	struct str rest = str_of(c->flags);

	jw_object(w);
	jw_ki64(w, "cpu", c->number);
	jw_kstr(w, "vendorId", str_of(c->vendor));
	jw_kstr(w, "family", str_of(c->family));
	jw_kstr(w, "model", str_of(c->model));
	jw_ki64(w, "stepping", c->stepping);
	jw_kstr(w, "physicalId", str_of(c->physical));
	jw_kstr(w, "coreId", str_of(c->core));
	jw_ki64(w, "cores", 1);
	jw_kstr(w, "modelName", str_of(c->name));
	jw_key(w, STR("mhz"));
	jw_f64(w, c->mhz);
	jw_ki64(w, "cacheSize", c->cache);
	jw_key(w, STR("flags"));
	jw_array(w);
	while (rest.n > 0) {
		struct str flag = str_trim(str_cut(&rest, ' '));

		if (flag.n > 0)
			jw_str(w, flag);
	}
	jw_array_end(w);
	jw_kstr(w, "microcode", str_of(c->microcode));
	jw_object_end(w);
}

static void
cpu_text(char *out, size_t room, const char *value)
{
	snprintf(out, room, "%s", value);
}

static void
cpu_field(struct cpu *c, const char *name, const char *value)
{
	if (strcmp(name, "vendor_id") == 0)
		cpu_text(c->vendor, sizeof c->vendor, value);
	else if (strcmp(name, "cpu family") == 0)
		cpu_text(c->family, sizeof c->family, value);
	else if (strcmp(name, "model") == 0)
		cpu_text(c->model, sizeof c->model, value);
	else if (strcmp(name, "model name") == 0)
		cpu_text(c->name, sizeof c->name, value);
	else if (strcmp(name, "stepping") == 0)
		c->stepping = strtol(value, NULL, 10);
	else if (strcmp(name, "microcode") == 0)
		cpu_text(c->microcode, sizeof c->microcode, value);
	else if (strcmp(name, "cpu MHz") == 0)
		c->mhz = strtod(value, NULL);
	else if (strcmp(name, "cache size") == 0)
		c->cache = strtol(value, NULL, 10);
	else if (strcmp(name, "physical id") == 0)
		cpu_text(c->physical, sizeof c->physical, value);
	else if (strcmp(name, "core id") == 0)
		cpu_text(c->core, sizeof c->core, value);
	else if (strcmp(name, "flags") == 0 || strcmp(name, "Features") == 0)
		cpu_text(c->flags, sizeof c->flags, value);
}

static void
cpus_write(struct jw *w)
{
	char line[HOST_LINE_MAX];
	struct cpu cpu;
	size_t count = 0;
	FILE *f = fopen("/proc/cpuinfo", "re");

	jw_array(w);
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		char *colon = strchr(line, ':'), *end;

		if (colon == NULL)
			continue;
		for (end = colon; end > line && (end[-1] == '\t' || end[-1] == ' '); end--)
			;
		*end = '\0';
		colon += colon[1] == ' ' ? 2 : 1;
		colon[strcspn(colon, "\n")] = '\0';
		if (strcmp(line, "processor") != 0) {
			if (count > 0)
				cpu_field(&cpu, line, colon);
			continue;
		}
		if (count > 0)
			cpu_write(w, &cpu);
		if (count++ == HOST_CPUS_MAX)
			break;
		memset(&cpu, 0, sizeof cpu);
		cpu.number = strtol(colon, NULL, 10);
	}
	if (count > 0 && count <= HOST_CPUS_MAX)
		cpu_write(w, &cpu);
	if (f != NULL)
		fclose(f);
	jw_array_end(w);
}

/* ---- system ---- */

/* Value of a line "NAME=value" or NAME="value"; `out` stays when there is none. */
static void
release_field(const char *name, char *out, size_t room)
{
	size_t n = strlen(name);
	char line[512];
	FILE *f = fopen("/etc/os-release", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		char *value = line + n + 1;

		if (strncmp(line, name, n) != 0 || line[n] != '=')
			continue;
		value += *value == '"';
		value[strcspn(value, "\"\n")] = '\0';
		snprintf(out, room, "%s", value);
	}
	if (f != NULL)
		fclose(f);
}

static void
first_line(const char *path, char *out, size_t room)
{
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	if (f != NULL && fgets(out, (int)room, f) != NULL)
		out[strcspn(out, "\n")] = '\0';
	if (f != NULL)
		fclose(f);
}

static void
system_write(struct jw *w)
{
	struct utsname name = { 0 };
	struct sysinfo info = { 0 };
	char id[64] = "", like[64] = "", version[64] = "", machine[64];

	uname(&name);
	sysinfo(&info);
	release_field("ID", id, sizeof id);
	release_field("ID", like, sizeof like);
	release_field("ID_LIKE", like, sizeof like);
	release_field("VERSION_ID", version, sizeof version);
	first_line("/etc/machine-id", machine, sizeof machine);
	jw_object(w);
	jw_kstr(w, "hostname", str_of(name.nodename));
	jw_ki64(w, "uptime", info.uptime);
	jw_ki64(w, "bootTime", (int64_t)time(NULL) - info.uptime);
	jw_ku64(w, "procs", info.procs);
	jw_kstr(w, "os", STR("linux"));
	jw_kstr(w, "platform", str_of(id));
	jw_kstr(w, "platformFamily", str_of(like));
	jw_kstr(w, "platformVersion", str_of(version));
	jw_kstr(w, "kernelVersion", str_of(name.release));
	jw_kstr(w, "kernelArch", str_of(name.machine));
	jw_kstr(w, "virtualizationSystem", STR_NONE);
	jw_kstr(w, "virtualizationRole", STR_NONE);
	jw_kstr(w, "hostid", str_of(machine));
	jw_object_end(w);
}

/* ---- disk ---- */

static void
disk_write(struct jw *w, const char *folder)
{
	const char *path = folder == NULL ? "/" : folder;
	struct statvfs s = { 0 };
	uint64_t total, available, used, inodes_used;

	statvfs(path, &s);
	total = (uint64_t)s.f_blocks * s.f_frsize;
	available = (uint64_t)s.f_bavail * s.f_frsize;
	used = ((uint64_t)s.f_blocks - s.f_bfree) * s.f_frsize;
	inodes_used = s.f_files - s.f_ffree;
	jw_object(w);
	jw_kstr(w, "path", str_of(path));
	jw_kstr(w, "fstype", STR_NONE);
	jw_ku64(w, "total", total);
	jw_ku64(w, "free", available);
	jw_ku64(w, "used", used);
	jw_key(w, STR("usedPercent"));
	jw_f64(w, percent(used, used + available));
	jw_ku64(w, "inodesTotal", s.f_files);
	jw_ku64(w, "inodesUsed", inodes_used);
	jw_ku64(w, "inodesFree", s.f_ffree);
	jw_key(w, STR("inodesUsedPercent"));
	jw_f64(w, percent(inodes_used, s.f_files));
	jw_object_end(w);
}

void
host_write(struct jw *w, const char *folder)
{
	struct timespec now = { 0 };

	jw_object(w);
	jw_key(w, STR("Memory"));
	memory_write(w);
	jw_key(w, STR("CPU"));
	cpus_write(w);
	jw_key(w, STR("Host"));
	system_write(w);
	jw_key(w, STR("Disk"));
	disk_write(w, folder);
	clock_gettime(CLOCK_REALTIME, &now);
	jw_ki64(w, "CollectionTime", (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	jw_knull(w, "Errors");
	jw_object_end(w);
}
