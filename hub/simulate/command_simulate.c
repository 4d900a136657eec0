/* command_simulate.c: `cityhub simulate`: the vendors of a synthetic county, to see and to test the hub at work. A
 * client of the broker like any vendor's platform: but for --prepare and --cases it never touches the database. */
#include <getopt.h>
#include <math.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/simulate/simulate_anomaly.h"
#include "hub/simulate/simulate_cases.h"
#include "hub/simulate/simulate_prepare.h"
#include "hub/simulate/simulate_schedule.h"

enum {
    REPORT_MS = 5000,
    TICK_MS = 100,
    LAST_WORDS_MS = 30000, /* at the end: time for PUBACKs and receipts of what is under way */
    CONNECT_MS = 30000,    /* without any connection for so long at the start, there is none to be had */
};

static const char usage[] =
    "usage: cityhub simulate [OPTION ...]\n"
    "       cityhub simulate --prepare [--vendor NAME]\n"
    "       cityhub simulate --cases [--month M] [--count N] [--seed N]\n\n"
    "Plays the vendors of all subsystems of a synthetic county (about 2,000 devices, trucks and people under "
    "way)\n"
    "against the broker of [mqtt] host and port, and shows what their receipts say. Ctrl-C ends it.\n"
    "  --prepare             set the county up in the database: street offices, grid cells, zones, vendors; then end\n"
    "  --cases               play a month of cases in the database, from report to closing, with departments of "
    "different\n"
    "                        diligence, and the entries of the month's assessment; then end. The login of [database]\n"
    "                        migrate_conninfo (else conninfo) must have the role cityhub_history\n"
    "  --month M             that month, such as 2026-10 (the last full one)\n"
    "  --count N             so many cases (1 to 100000, default 1500)\n"
    "  --vendor NAME         name of the vendor in topics, and its login (default sim)\n"
    "  --password-file FILE  the login's password, on the first line; without it the login is anonymous\n"
    "  --seconds N           end after so many seconds (1 to 31536000)\n"
    "  --speed X             devices report X times as often as usual (0.01 to 10000, default 1)\n"
    "  --rate N              the same, as records a second of all vendors together (1 to 1000000)\n"
    "  --seed N              another county (0 to 4294967295, default 1); the same number makes the same one\n"
    "  --anomalies SECONDS   something goes wrong about every so many seconds (0 = never, to 3600; default 12)\n"
    "  --once-inventory      end after inventory and staff\n"
    "Exit code 1 if there was no connection, the broker refused it, or messages stayed without an acknowledgement.\n";

struct options {
    bool prepare, cases, inventory_only;
    const char *vendor, *password_file, *month;
    int64_t seconds, seed, anomalies, count;
    double speed, rate;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

static bool read_real(const char *text, double low, double high, double *value) {
    char *end = NULL;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= low && *value <= high;
}

/* True if the option's value is a good one. */
static bool take_option(struct options *options, int option, const char *value) {
    switch (option) {
    case 'P':
        return options->prepare = true;
    case 'c':
        return options->cases = true;
    case 'm':
        options->month = value;
        return true;
    case 'k':
        return command_number(value, 1, 100000, &options->count) == 0;
    case 'i':
        return options->inventory_only = true;
    case 'v':
        options->vendor = value;
        return *value != '\0' && strpbrk(value, "/+#") == NULL && strlen(value) <= 63;
    case 'p':
        options->password_file = value;
        return true;
    case 'n':
        return command_number(value, 1, 31536000, &options->seconds) == 0;
    case 's':
        return read_real(value, 0.01, 10000, &options->speed);
    case 'r':
        return read_real(value, 1, 1000000, &options->rate);
    case 'd':
        return command_number(value, 0, 4294967295, &options->seed) == 0;
    case 'a':
        return command_number(value, 0, 3600, &options->anomalies) == 0;
    default:
        return false;
    }
}

static int parse(struct options *options, int argc, char **argv) {
    static const struct option known[] = {{"prepare", no_argument, NULL, 'P'},
                                          {"cases", no_argument, NULL, 'c'},
                                          {"month", required_argument, NULL, 'm'},
                                          {"count", required_argument, NULL, 'k'},
                                          {"vendor", required_argument, NULL, 'v'},
                                          {"password-file", required_argument, NULL, 'p'},
                                          {"seconds", required_argument, NULL, 'n'},
                                          {"speed", required_argument, NULL, 's'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"seed", required_argument, NULL, 'd'},
                                          {"anomalies", required_argument, NULL, 'a'},
                                          {"once-inventory", no_argument, NULL, 'i'},
                                          {0}};
    int index = 0;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", known, &index)) != -1;) {
        if (option == '?') {
            return command_misuse("cityhub simulate", "simulate: see above");
        }
        if (!take_option(options, option, optarg)) {
            return command_misuse("cityhub simulate", "--%s cannot be `%s`", known[index].name, optarg);
        }
    }
    if (optind < argc) {
        return command_misuse("cityhub simulate", "`%s` is one argument too many", argv[optind]);
    }
    if (options->rate > 0 && options->speed > 0) {
        return command_misuse("cityhub simulate", "--speed or --rate, not both");
    }
    if ((options->month != NULL || options->count > 0) && !options->cases) {
        return command_misuse("cityhub simulate", "--month and --count are for --cases");
    }
    return EXIT_DONE;
}

struct simulation {
    struct options options;
    struct vendor_login login;
    struct fleet fleet;
    struct schedule schedule;
    struct simulated_vendor *vendors;
    int count;
    struct simulate_random chance;
    int64_t anomaly_ms, started_ms, report_ms;
    long reported_records;
    int anomalies;
};

static void report(struct simulation *simulation, int64_t now_ms) {
    long messages = 0;
    long records = 0;
    long accepted = 0;
    long duplicates = 0;
    long rejected = 0;
    int connected = 0;
    for (int i = 0; i < simulation->count; i++) {
        struct simulated_vendor *vendor = &simulation->vendors[i];
        messages += vendor->messages;
        records += vendor->records;
        accepted += vendor->accepted;
        duplicates += vendor->duplicates;
        rejected += vendor->rejected;
        connected += vendor->connected ? 1 : 0;
    }
    double elapsed_s = (double)(now_ms - simulation->report_ms) / 1000;
    double rate = elapsed_s > 0 ? (double)(records - simulation->reported_records) / elapsed_s : 0;
    printf("simulate %4llds  vendors %d/%d  sent %ld records in %ld messages (%.0f/s)  receipts: %ld accepted, %ld "
           "duplicates,"
           " %ld rejected  anomalies now %d\n",
           (long long)((now_ms - simulation->started_ms) / 1000), connected, simulation->count, records, messages, rate,
           accepted, duplicates, rejected, simulation->anomalies);
    for (int i = 0; i < simulation->count; i++) {
        struct simulated_vendor *vendor = &simulation->vendors[i];
        if (vendor->problem[0] != '\0') {
            printf("  rejected: %s\n", vendor->problem);
            vendor->problem[0] = '\0';
        }
        if (vendor->complaint[0] != '\0') {
            printf("  broker: %s\n", vendor->complaint);
            vendor->complaint[0] = '\0';
        }
    }
    fflush(stdout);
    simulation->report_ms = now_ms;
    simulation->reported_records = records;
}

/* Why it makes no sense to go on, or NULL. */
static const char *hopeless(const struct simulation *simulation, int64_t now_ms) {
    bool ever = false;
    for (int i = 0; i < simulation->count; i++) {
        ever = ever || simulation->vendors[i].ever;
        if (simulation->vendors[i].denied) {
            return "the broker refuses this login: is the password right, and has `cityhub vendor add` made it known?";
        }
    }
    return !ever && now_ms - simulation->started_ms > CONNECT_MS ? "there is no connection to the broker" : NULL;
}

static bool run_out(const struct simulation *simulation, int64_t now_ms) {
    int64_t seconds = simulation->options.seconds;
    return stopped != 0 || (seconds > 0 && now_ms - simulation->started_ms >= seconds * 1000);
}

/* One round of all vendors. True when all of them have said all they had to say. */
static bool round_of_all(struct simulation *simulation) {
    bool done = true;
    int64_t now_ms = clock_now_ms();
    simulation->anomalies = simulation->schedule.inventory_only
                                ? 0
                                : anomaly_advance(&simulation->fleet, &simulation->chance,
                                                  (int)simulation->options.anomalies, &simulation->anomaly_ms, now_ms);
    for (int i = 0; i < simulation->count; i++) {
        done = schedule_advance(&simulation->schedule, &simulation->vendors[i], now_ms) && done;
    }
    return done;
}

static int in_flight(const struct simulation *simulation) {
    int count = 0;
    for (int i = 0; i < simulation->count; i++) {
        count += simulation->vendors[i].in_flight;
    }
    return count;
}

static bool receipts_missing(const struct simulation *simulation) {
    for (int i = 0; i < simulation->count; i++) {
        if (simulation->vendors[i].receipts < simulation->vendors[i].messages) {
            return true;
        }
    }
    return false;
}

/* Waits for PUBACKs, and, unless a person wants it to end, for receipts. */
static int last_words(struct simulation *simulation) {
    int64_t until_ms = clock_steady_ms() + LAST_WORDS_MS;
    while (clock_steady_ms() < until_ms &&
           (in_flight(simulation) > 0 || (stopped == 0 && receipts_missing(simulation)))) {
        simulated_vendors_poll(simulation->vendors, simulation->count, TICK_MS, clock_steady_ms());
    }
    report(simulation, clock_steady_ms());
    if (in_flight(simulation) > 0) {
        return command_fail("%d messages have no acknowledgement of the broker", in_flight(simulation));
    }
    return EXIT_DONE;
}

static int run(struct simulation *simulation) {
    const char *reason = NULL;
    bool done = false;
    simulation->started_ms = simulation->report_ms = clock_steady_ms();
    int64_t now_ms = simulation->started_ms;
    while (!done && reason == NULL && !run_out(simulation, now_ms)) {
        simulated_vendors_poll(simulation->vendors, simulation->count, TICK_MS, now_ms);
        done = round_of_all(simulation);
        now_ms = clock_steady_ms();
        reason = hopeless(simulation, now_ms);
        if (now_ms - simulation->report_ms >= REPORT_MS || reason != NULL) {
            report(simulation, now_ms);
        }
    }
    if (reason != NULL) {
        return command_fail("%s", reason);
    }
    return last_words(simulation);
}

static int make_vendors(struct simulation *simulation) {
    simulation->vendors = calloc(adapter_count, sizeof *simulation->vendors);
    if (simulation->vendors == NULL) {
        return CH_EMEMORY;
    }
    for (size_t i = 0; i < adapter_count; i++) {
        int code = simulated_vendor_open(&simulation->vendors[i], &simulation->login, adapters[i]);
        simulation->count++;
        if (code != 0) {
            return code;
        }
        schedule_vendor(&simulation->vendors[i]);
    }
    return 0;
}

static void tell_plain(void) {
    for (size_t i = 0; i < adapter_count; i++) {
        if (figures_of(adapters[i]->key) == NULL) {
            printf("simulate: %s has no figures of its own: %d devices of each kind, values in the middle "
                   "of their ranges\n",
                   adapters[i]->key, FIGURES_DEVICES_PLAIN);
        }
    }
}

static int start(struct simulation *simulation) {
    struct options *options = &simulation->options;
    int code = fleet_make(&simulation->fleet, (uint64_t)options->seed);
    if (code != 0) {
        return code;
    }
    tell_plain();
    double rate = schedule_rate(&simulation->fleet);
    double speed = options->rate > 0 ? options->rate / rate : options->speed > 0 ? options->speed : 1;
    simulation->chance.state = simulate_hash((uint64_t)options->seed, 2);
    simulation->schedule = (struct schedule){.fleet = &simulation->fleet,
                                             .random = {simulate_hash((uint64_t)options->seed, 3)},
                                             .speed = speed,
                                             .inventory_only = options->inventory_only};
    schedule_devices(&simulation->schedule, clock_now_ms());
    printf("simulate: %d devices of %zu vendors, %.1f records/s, seed %lld, broker %s port %lld\n",
           simulation->fleet.count, adapter_count, rate * speed, (long long)options->seed,
           simulation->login.config->mqtt_host, (long long)simulation->login.config->mqtt_port);
    fflush(stdout);
    return make_vendors(simulation);
}

static int play(const struct config *config, const struct options *options) {
    struct simulation simulation = {.options = *options, .login = {.config = config, .vendor = options->vendor}};
    char *password = options->password_file == NULL ? NULL : config_secret(options->password_file);
    if (options->password_file != NULL && password == NULL) {
        return EXIT_FAILED;
    }
    simulation.login.password = password;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    mosquitto_lib_init();
    int code = start(&simulation) == 0 ? run(&simulation) : command_fail("the simulation cannot start");
    for (int i = 0; i < simulation.count; i++) {
        simulated_vendor_close(&simulation.vendors[i]);
    }
    free(simulation.vendors);
    fleet_free(&simulation.fleet);
    mosquitto_lib_cleanup();
    if (password != NULL) {
        OPENSSL_cleanse(password, strlen(password));
        free(password);
    }
    return code;
}

int command_simulate(const struct config *config, int argc, char **argv) {
    struct options options = {.vendor = "sim", .seed = 1, .anomalies = 12};
    if (command_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    int code = parse(&options, argc, argv);
    if (code != EXIT_DONE) {
        return code;
    }
    if (options.prepare) {
        return simulate_prepare(config, options.vendor) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    if (options.cases) {
        const struct simulate_cases_options month = {
            .month = options.month, .count = options.count > 0 ? (int)options.count : 1500, .seed = options.seed};
        return simulate_cases(config, &month) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    return play(config, &options);
}
