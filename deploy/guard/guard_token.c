/* guard_token.c: see guard_token.h. Must never keep a token, nor take a line that it cannot read for a device. */
#define HASH_NONFATAL_OOM 1 /* or it would end the broker */
#include "deploy/guard/guard_token.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>

#include "deploy/guard/guard_rule.h"
#include "hub/base/topic.h"

enum { IDENTITY_MAX = 64, TOKEN_MAX = 320 };

#define DEVICE "device." /* no vendor's login has a dot */

struct device {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    unsigned number; /* of its token */
    UT_hash_handle hh;
    char identity[IDENTITY_MAX + 1];
};

struct guard_devices {
    struct device *list;
    unsigned numbers; /* given so far */
    struct stat read; /* of the file that was; nothing = none */
    char path[];
};

/* ---- the file ---- */

static struct device *find(struct device *list, const char *identity, size_t length) {
    struct device *device = NULL;
    HASH_FIND(hh, list, identity, length, device);
    return device;
}

static void list_free(struct device *list) {
    struct device *device = list;
    HASH_CLEAR(hh, list);
    while (device != NULL) {
        struct device *next = device->hh.next;
        free(device);
        device = next;
    }
}

static bool read_hash(const char *hex, unsigned char hash[static SHA256_DIGEST_LENGTH]) {
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i] == '\0' ? '\0' : hex[2 * i + 1], '\0'};
        if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1])) {
            return false;
        }
        hash[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return hex[(size_t)2 * SHA256_DIGEST_LENGTH] == '\0';
}

/* False = memory is out. */
static bool take_line(struct device **list, char *line) {
    unsigned char hash[SHA256_DIGEST_LENGTH];
    line[strcspn(line, "\r\n")] = '\0';
    char *colon = line + strcspn(line, ":."); /* an identity has no dot */
    if (*colon != ':' || colon == line || colon - line > IDENTITY_MAX || !read_hash(colon + 1, hash)) {
        return true;
    }
    *colon = '\0';
    size_t length = strlen(line);
    struct device *known = find(*list, line, length);
    struct device *device = known == NULL ? calloc(1, sizeof *device) : known;
    if (device == NULL) {
        return false;
    }
    memcpy(device->hash, hash, sizeof hash);
    if (known == NULL) {
        memcpy(device->identity, line, length + 1);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it is the table's */
        HASH_ADD_KEYPTR(hh, *list, device->identity, length, device);
    }
    return true;
}

bool guard_devices_parse(struct guard_devices *devices, FILE *from) {
    char *line = NULL;
    size_t room = 0;
    struct device *list = NULL;
    bool whole = true;
    while (whole && getline(&line, &room, from) > 0) {
        whole = take_line(&list, line);
    }
    free(line);
    if (!whole || feof(from) == 0) {
        list_free(list);
        return false;
    }
    for (struct device *device = list; device != NULL; device = device->hh.next) {
        const struct device *old = find(devices->list, device->identity, strlen(device->identity));
        bool same = old != NULL && CRYPTO_memcmp(old->hash, device->hash, sizeof old->hash) == 0;
        device->number = same ? old->number : ++devices->numbers;
    }
    list_free(devices->list);
    devices->list = list;
    return true;
}

/* A new file has the old one's place in one step, see broker_files.c: never has it the same number and times. */
static bool is_same(const struct stat *one, const struct stat *other) {
    return one->st_ino == other->st_ino && one->st_size == other->st_size &&
           one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec;
}

bool guard_devices_look(struct guard_devices *devices) {
    struct stat found = {0};
    if (stat(devices->path, &found) != 0) {
        bool gone = errno == ENOENT;
        if (gone) {
            list_free(devices->list);
            devices->list = NULL;
            devices->read = (struct stat){0};
        }
        return gone;
    }
    if (is_same(&found, &devices->read)) {
        return true;
    }
    FILE *file = fopen(devices->path, "re");
    bool whole = file != NULL && guard_devices_parse(devices, file);
    if (file != NULL) {
        fclose(file);
    }
    devices->read = whole ? found : devices->read;
    return whole;
}

struct guard_devices *guard_devices_new(const char *path) {
    size_t length = strlen(path) + 1;
    struct guard_devices *devices = calloc(1, sizeof *devices + length);
    if (devices != NULL) {
        memcpy(devices->path, path, length);
    }
    return devices;
}

void guard_devices_free(struct guard_devices *devices) {
    if (devices != NULL) {
        list_free(devices->list);
        free(devices);
    }
}

size_t guard_devices_count(const struct guard_devices *devices) {
    return HASH_COUNT(devices->list);
}

/* ---- logins ---- */

static void put_login(const struct device *device, char login[static GUARD_LOGIN_MAX]) {
    snprintf(login, GUARD_LOGIN_MAX, DEVICE "%s.%u", device->identity, device->number);
}

bool guard_token_fits(const struct guard_devices *devices, const char *token, char login[static GUARD_LOGIN_MAX]) {
    char text[TOKEN_MAX];
    unsigned char hash[SHA256_DIGEST_LENGTH];
    const char *dot = strchr(token, '.');
    const struct device *device = dot == NULL ? NULL : find(devices->list, token, (size_t)(dot - token));
    if (device == NULL) {
        return false;
    }
    /* As hub/gateway/terminal.h has it of a secret. */
    int length = snprintf(text, sizeof text, "json:%s:%s", device->identity, dot + 1);
    bool fits = length > 0 && (size_t)length < sizeof text;
    if (fits) {
        SHA256((const unsigned char *)text, (size_t)length, hash);
        fits = CRYPTO_memcmp(hash, device->hash, sizeof hash) == 0;
    }
    OPENSSL_cleanse(text, sizeof text);
    if (fits) {
        put_login(device, login);
    }
    return fits;
}

bool guard_is_device(const char *login) {
    return login != NULL && strncmp(login, DEVICE, strlen(DEVICE)) == 0;
}

bool guard_device_known(const struct guard_devices *devices, const char *login) {
    char known[GUARD_LOGIN_MAX];
    const char *identity = login + strlen(DEVICE);
    const struct device *device = find(devices->list, identity, strcspn(identity, "."));
    if (device != NULL) {
        put_login(device, known);
    }
    return device != NULL && strcmp(known, login) == 0;
}

bool guard_device_id_fits(const char *id, const char *login) {
    size_t length = strlen(DEVICE) + strcspn(login + strlen(DEVICE), ".");
    bool own = id != NULL && strlen(id) == length && strncmp(id, login, length) == 0;
    return own || guard_id_fits(id, "");
}

/* ---- topics ---- */

bool guard_device_may_publish(const char *topic) {
    static const char own[] = "v1/devices/me/";
    if (strncmp(topic, own, strlen(own)) != 0) {
        return false;
    }
    const char *kind = topic + strlen(own);
    return strcmp(kind, topic_words[TOPIC_TELEMETRY]) == 0 || strcmp(kind, "attributes") == 0;
}

char *guard_device_topic(const char *login, void *(*allocate)(size_t count, size_t size)) {
    enum { ROOM = GUARD_LOGIN_MAX + sizeof TOPIC_DEVICE };
    const char *identity = login + strlen(DEVICE);
    char *topic = allocate(ROOM, 1);
    if (topic != NULL) {
        snprintf(topic, ROOM, TOPIC_DEVICE, (int)strcspn(identity, "."), identity);
    }
    return topic;
}
