/* simulate_motion.c: trucks and people under way along the county's roads. Must never leave the built-up area. */
#include <math.h>

#include "hub/simulate/simulate_device.h"

static bool same(double one, double other) {
    return fabs(one - other) < 0.5;
}

/* The next corner, when the last one has been reached: on roads first along x, then along y; a site or yard is reached
 * from its crossing. */
static struct place next_corner(const struct motion *motion) {
    struct place at = motion->at;
    struct place target = motion->target;
    if (motion->way == MOTION_FLIGHT) {
        return target;
    }
    struct place gate = county_crossing(target);
    struct place here = county_crossing(at);
    if (same(at.x, gate.x) && same(at.y, gate.y)) {
        return target;
    }
    if (!same(at.x, here.x) && !same(at.y, here.y)) {
        return here; /* off the road: out of a site */
    }
    if (!same(at.x, gate.x)) {
        return same(at.y, here.y) ? (struct place){gate.x, at.y} : (struct place){at.x, here.y};
    }
    return (struct place){at.x, gate.y};
}

static struct place somewhere(struct motion *motion) {
    double reach = motion->way == MOTION_FLIGHT ? 800 : motion->speed_m_s < 2 ? 700 : 2500; /* people do not go far */
    struct place wish = {motion->at.x + simulate_between(&motion->random, -reach, reach),
                         motion->at.y + simulate_between(&motion->random, -reach, reach)};
    return county_crossing(wish);
}

/* A truck unloads or loads; others stop for a while and go on. Times in milliseconds. */
static void arrive(struct motion *motion, int64_t at_ms) {
    if (motion->way == MOTION_HAUL) {
        motion->unloading = motion->loaded;
        motion->rest_until_ms = at_ms + (int64_t)(1000 * simulate_between(&motion->random, 40, 120));
        return;
    }
    double rest_s = motion->way == MOTION_FLIGHT ? 10 : simulate_between(&motion->random, 3, 25);
    motion->rest_until_ms = at_ms + (int64_t)(1000 * rest_s);
}

static void depart(struct motion *motion) {
    motion->rest_until_ms = 0;
    motion->unloading = false;
    if (motion->way == MOTION_HAUL) {
        motion->loaded = !motion->loaded;
        motion->site = simulate_below(&motion->random, COUNTY_SITES);
        motion->target = motion->loaded ? county_yard(motion->yard) : county_site(motion->site);
    } else {
        motion->target = somewhere(motion);
    }
    motion->corner = next_corner(motion);
}

/* Goes straight for at most `seconds`; returns those that are left. */
static double leg(struct motion *motion, double seconds) {
    struct place corner = motion->corner;
    double east = corner.x - motion->at.x;
    double north = corner.y - motion->at.y;
    double distance = hypot(east, north);
    double step = motion->speed_m_s * seconds;
    if (distance > 0.01) {
        motion->heading_deg = fmod(atan2(east, north) * 180 / M_PI + 360, 360);
    }
    if (step < distance) {
        motion->at.x += east / distance * step;
        motion->at.y += north / distance * step;
        return 0;
    }
    motion->at = corner;
    motion->corner = next_corner(motion);
    return seconds - distance / motion->speed_m_s;
}

static bool arrived(const struct motion *motion) {
    return same(motion->at.x, motion->target.x) && same(motion->at.y, motion->target.y);
}

void motion_advance(struct simulated_device *device, int64_t now_ms) {
    struct motion *motion = &device->motion;
    if (motion->way == MOTION_NONE) {
        return;
    }
    if (motion->moved_ms == 0 || now_ms - motion->moved_ms > 600000) {
        motion->moved_ms = now_ms; /* what happened in a long pause is nobody's concern */
    }
    while (motion->moved_ms < now_ms) {
        if (motion->rest_until_ms > motion->moved_ms) {
            motion->moved_ms = motion->rest_until_ms < now_ms ? motion->rest_until_ms : now_ms;
        } else if (arrived(motion)) {
            if (motion->rest_until_ms == 0) {
                arrive(motion, motion->moved_ms);
            } else {
                depart(motion);
            }
        } else {
            double left = leg(motion, (double)(now_ms - motion->moved_ms) / 1000);
            motion->moved_ms = now_ms - (int64_t)(left * 1000);
        }
    }
}

double motion_speed(const struct simulated_device *device, int64_t now_ms) {
    const struct motion *motion = &device->motion;
    if (motion->way == MOTION_NONE || motion->rest_until_ms > now_ms || motion->rest_until_ms == motion->moved_ms) {
        return 0;
    }
    double wobble = simulate_noise(simulate_hash(device->key, 6), (double)now_ms / 20000);
    return motion->speed_m_s * (1 + 0.1 * wobble);
}
