/* gossip/coordinate.c -- our place in the network, moved a little by each round-trip time.
 *
 * A coordinate is a point in eight dimensions, and a height above them for what every packet pays
 * (the last mile); the distance of two is that between the points and both heights. Each sample
 * pulls or pushes us along the line to the peer like a spring (Vivaldi, Dabek et al. 2004, section
 * 4); the less sure we are beside the peer, the harder. On top of that, as serf does: the median of
 * a peer's last times (Ledlie et al. 2007), an adjustment that takes up what no embedding can say
 * (Lee et al. 2006), and a weak pull to the origin, so that a pool does not drift away.
 *
 * Parts: vectors; one coordinate; peers; the four steps of a sample; what is asked. All in
 * seconds.
 */
#include "gossip/coordinate.h"

#include <bsd/sys/tree.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

#define ERROR_MAX 1.5
#define ERROR_GAIN 0.25 /* ce: how fast our error follows a sample */
#define FORCE_GAIN 0.25 /* cc: how far a sample moves us */
#define HEIGHT_MIN 1e-5
#define ADJUSTMENT_WINDOW 20
#define LATENCY_FILTER 3
#define GRAVITY_RHO 150.0
#define TINY 1e-6 /* below it, lengths count as none */

struct peer {
	RB_ENTRY(peer) link; /* by name */
	struct serf_coordinate at;
	float times[LATENCY_FILTER]; /* the last round-trip times, oldest first */
	uint8_t time_count;
	uint8_t name_len;
	char name[]; /* name_len bytes */
};
RB_HEAD(peers, peer);

struct coordinates {
	struct serf_coordinate ours;
	double adjustments[ADJUSTMENT_WINDOW]; /* a ring; zeros at first count too, as serf's do */
	unsigned adjustment_next;
	struct rng rng;
	struct peers peers;
	size_t count;
	uint64_t samples, resets;
};

/* Vectors. */

static double
length(const double v[SERF_COORDINATE_DIMENSIONS])
{
	double sum = 0;

	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		sum += v[i] * v[i];
	return sqrt(sum);
}

/* The direction from `from` to `to`, of length 1, in any direction when they are in one place.
 * Returns their distance. */
static double
direction(struct rng *rng, const struct serf_coordinate *to, const struct serf_coordinate *from,
    double out[SERF_COORDINATE_DIMENSIONS])
{
	double distance, by;

	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		out[i] = to->vec[i] - from->vec[i];
	distance = by = length(out);
	if (distance <= TINY) {
		for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
			out[i] = (double)rng_u32(rng) / UINT32_MAX - 0.5;
		distance = 0;
		by = length(out);
	}
	if (by <=
	    TINY) { /* eight middles of the range at once: will not be seen, must not divide */
		out[0] = by = 1;
	}
	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		out[i] /= by;
	return distance;
}

/* One coordinate. */

static const struct serf_coordinate origin = { .error = ERROR_MAX, .height = HEIGHT_MIN };

static bool
value_valid(double v, double min)
{
	return v >= min && v <= COORDINATE_VALUE_MAX; /* false for what is no number */
}

bool
coordinate_valid(const struct serf_coordinate *c)
{
	bool valid = value_valid(c->adjustment, -COORDINATE_VALUE_MAX) &&
		     value_valid(c->error, 0) && value_valid(c->height, 0);

	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		valid = valid && value_valid(c->vec[i], -COORDINATE_VALUE_MAX);
	return valid;
}

/* Without adjustments. */
static double
distance_raw(const struct serf_coordinate *a, const struct serf_coordinate *b)
{
	double between[SERF_COORDINATE_DIMENSIONS];

	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		between[i] = a->vec[i] - b->vec[i];
	return length(between) + a->height + b->height;
}

/* Adjustments count unless they would make less than nothing of it. */
static double
distance(const struct serf_coordinate *a, const struct serf_coordinate *b)
{
	double raw = distance_raw(a, b), adjusted = raw + a->adjustment + b->adjustment;

	return adjusted > 0 ? adjusted : raw;
}

nsec
coordinate_distance(const struct serf_coordinate *a, const struct serf_coordinate *b)
{
	return (nsec)(distance(a, b) * (double)NSEC_SEC);
}

/* Moves c by `force` seconds away from `other`, its height in proportion. */
static void
push_away(
    struct rng *rng, struct serf_coordinate *c, const struct serf_coordinate *other, double force)
{
	double unit[SERF_COORDINATE_DIMENSIONS];
	double between = direction(rng, c, other, unit);

	for (int i = 0; i < SERF_COORDINATE_DIMENSIONS; i++)
		c->vec[i] += unit[i] * force;
	if (between > TINY)
		c->height =
		    fmax(HEIGHT_MIN, c->height + (c->height + other->height) * force / between);
}

/* Peers. */

static int
peer_cmp(const struct peer *a, const struct peer *b)
{
	return str_cmp(str_mem(a->name, a->name_len), str_mem(b->name, b->name_len));
}

RB_PROTOTYPE(peers, peer, link, peer_cmp)
RB_GENERATE(peers, peer, link, peer_cmp)

static struct peer *
peer_find(const struct coordinates *c, struct str name)
{
	struct peer *at = RB_ROOT(&c->peers);

	while (at != NULL) {
		int d = str_cmp(name, str_mem(at->name, at->name_len));

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, link) : RB_RIGHT(at, link);
	}
	return NULL;
}

/* NULL: there is no room for one more. */
static struct peer *
peer_get(struct coordinates *c, struct str name)
{
	struct peer *p = peer_find(c, name);

	if (p != NULL || name.n == 0 || name.n > COORDINATE_NAME_MAX ||
	    c->count == COORDINATE_PEERS_MAX)
		return p;
	p = mem_zalloc(sizeof *p + name.n);
	memcpy(p->name, name.p, name.n);
	p->name_len = (uint8_t)name.n;
	RB_INSERT(peers, &c->peers, p);
	c->count++;
	return p;
}

/* The median of a peer's last times with this one; of two the larger. */
static double
peer_time(struct peer *p, double time)
{
	float t[LATENCY_FILTER];

	if (p->time_count == LATENCY_FILTER)
		memmove(p->times, p->times + 1, sizeof p->times - sizeof p->times[0]);
	else
		p->time_count++;
	p->times[p->time_count - 1] = (float)time;
	memcpy(t, p->times, sizeof t);
	for (int i = 1; i < p->time_count; i++)
		for (int j = i; j > 0 && t[j - 1] > t[j]; j--) {
			float swap = t[j];

			t[j] = t[j - 1];
			t[j - 1] = swap;
		}
	return (double)t[p->time_count / 2];
}

/* The steps of a sample. */

static void
vivaldi(struct coordinates *c, const struct serf_coordinate *theirs, double time)
{
	double dist = distance(&c->ours, theirs);
	double known = fmax(time, TINY);
	double wrong = fabs(dist - known) / known;
	double share = c->ours.error / fmax(c->ours.error + theirs->error, TINY);

	c->ours.error =
	    fmin(ERROR_MAX, ERROR_GAIN * share * wrong + c->ours.error * (1 - ERROR_GAIN * share));
	push_away(&c->rng, &c->ours, theirs, FORCE_GAIN * share * (known - dist));
}

/* Half the mean of what the embedding was wrong by; the peer has the other half. */
static void
adjust(struct coordinates *c, const struct serf_coordinate *theirs, double time)
{
	double sum = 0;

	c->adjustments[c->adjustment_next] = time - distance_raw(&c->ours, theirs);
	c->adjustment_next = (c->adjustment_next + 1) % ADJUSTMENT_WINDOW;
	for (int i = 0; i < ADJUSTMENT_WINDOW; i++)
		sum += c->adjustments[i];
	c->ours.adjustment = sum / (2 * ADJUSTMENT_WINDOW);
}

static void
gravity(struct coordinates *c)
{
	double far = distance(&origin, &c->ours) / GRAVITY_RHO;

	push_away(&c->rng, &c->ours, &origin, -far * far);
}

bool
coordinates_observe(
    struct coordinates *c, struct str peer, nsec rtt, const struct serf_coordinate *theirs)
{
	double time = (double)rtt / (double)NSEC_SEC;
	struct peer *p;

	if (rtt <= 0 || rtt > COORDINATE_RTT_MAX || !coordinate_valid(theirs))
		return false;
	p = peer_get(c, peer);
	if (p != NULL) {
		time = peer_time(p, time);
		p->at = *theirs;
	}
	c->samples++;
	vivaldi(c, theirs, time);
	adjust(c, theirs, time);
	gravity(c);
	if (!coordinate_valid(&c->ours)) {
		c->ours = origin;
		memset(c->adjustments, 0, sizeof c->adjustments);
		c->resets++;
	}
	return true;
}

/* What is asked. */

struct coordinates *
coordinates_new(uint64_t seed)
{
	struct coordinates *c = mem_new(struct coordinates);

	c->ours = origin;
	rng_init(&c->rng, seed);
	return c;
}

void
coordinates_free(struct coordinates *c)
{
	struct peer *p;

	if (c == NULL)
		return;
	while ((p = RB_ROOT(&c->peers)) != NULL) {
		RB_REMOVE(peers, &c->peers, p);
		free(p);
	}
	free(c);
}

bool
coordinates_begin(struct coordinates *c, const struct serf_coordinate *ours)
{
	if (!coordinate_valid(ours))
		return false;
	c->ours = *ours;
	for (int i = 0; i < ADJUSTMENT_WINDOW; i++)
		c->adjustments[i] = 2 * ours->adjustment; /* so that the next one changes little */
	return true;
}

const struct serf_coordinate *
coordinates_ours(const struct coordinates *c)
{
	return &c->ours;
}

const struct serf_coordinate *
coordinates_of(const struct coordinates *c, struct str peer)
{
	const struct peer *p = peer_find(c, peer);

	return p == NULL ? NULL : &p->at;
}

void
coordinates_learn(struct coordinates *c, struct str peer, const struct serf_coordinate *theirs)
{
	struct peer *p = coordinate_valid(theirs) ? peer_get(c, peer) : NULL;

	if (p != NULL)
		p->at = *theirs;
}

void
coordinates_forget(struct coordinates *c, struct str peer)
{
	struct peer *p = peer_find(c, peer);

	if (p == NULL)
		return;
	RB_REMOVE(peers, &c->peers, p);
	c->count--;
	free(p);
}

size_t
coordinates_count(const struct coordinates *c)
{
	return c->count;
}

uint64_t
coordinates_samples(const struct coordinates *c)
{
	return c->samples;
}

uint64_t
coordinates_resets(const struct coordinates *c)
{
	return c->resets;
}
