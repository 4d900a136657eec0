/* page.c: the page's files read into memory. Must never take a file that is not named as the build names them, nor
 * follow what a client sends into the file system. */
#include "hub/http/page.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/count.h"
#include "hub/base/file.h"
#include "hub/base/log.h"

#define INDEX "index.html"
#define PACKED_SUFFIX ".gz"

enum { PATH_BYTES = 4096 };

struct page {
    size_t count;
    struct page_file files[PAGE_FILES_MAX];
};

/* By the name's end. What is not here is not served. */
static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".json", "application/json; charset=utf-8"},
    {".webmanifest", "application/manifest+json"},
};

static bool ends_with(const char *text, const char *suffix) {
    size_t length = strlen(text), suffix_length = strlen(suffix);
    return length > suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

static const char *type_of(const char *name) {
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (ends_with(name, types[i].suffix)) {
            return types[i].type;
        }
    }
    return NULL;
}

static void file_free(struct page_file *file) {
    free(file->bytes);
    free(file->packed);
    file->bytes = file->packed = NULL;
}

/* Adds `name`, "" for the index, from `folder`. False after logging why. */
static bool add(struct page *page, const char *folder, const char *name) {
    char path[PATH_BYTES], problem[FILE_PROBLEM_MAX];
    struct page_file *file = &page->files[page->count];
    bool index = name[0] == '\0';
    int length = snprintf(path, sizeof path, "%s/%s%s", folder, index ? INDEX : "assets/", name);
    if (page->count == PAGE_FILES_MAX || strlen(name) >= sizeof file->name ||
        (size_t)length + strlen(PACKED_SUFFIX) >= sizeof path) {
        log_error("http_page", "file=%s reason=\"too many files, or too long a name\"", log_quote(name));
        return false;
    }
    *file = (struct page_file){.type = type_of(index ? INDEX : name)};
    memcpy(file->name, name, strlen(name) + 1);
    file->bytes = file_read(path, PAGE_FILE_BYTES_MAX, &file->length, problem);
    snprintf(path + length, sizeof path - (size_t)length, "%s", PACKED_SUFFIX);
    bool packed = access(path, F_OK) == 0;
    if (file->bytes != NULL && packed) {
        file->packed = file_read(path, PAGE_FILE_BYTES_MAX, &file->packed_length, problem);
    }
    if (file->bytes == NULL || (packed && file->packed == NULL)) {
        log_error("http_page", "file=%s reason=%s", log_quote(path), log_quote(problem));
        file_free(file);
        return false;
    }
    answer_etag(file->bytes, file->length, file->etag);
    page->count++;
    return true;
}

static bool add_assets(struct page *page, const char *folder) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/assets", folder);
    DIR *assets = opendir(path);
    if (assets == NULL) {
        log_error("http_page", "folder=%s reason=%s", log_quote(path), log_quote(strerror(errno)));
        return false;
    }
    bool added = true;
    for (const struct dirent *entry; added && (entry = readdir(assets)) != NULL;) {
        added = type_of(entry->d_name) == NULL || add(page, folder, entry->d_name);
    }
    closedir(assets);
    return added;
}

struct page *page_open(const char *folder) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, INDEX);
    if (access(path, F_OK) != 0) {
        log_info("http_page", "folder=%s files=0 advice=\"no page there; see [http] page\"", log_quote(folder));
        return NULL;
    }
    struct page *page = calloc(1, sizeof *page);
    if (page == NULL) {
        log_error("out_of_memory", "what=page");
        return NULL;
    }
    if (!add(page, folder, "") || !add_assets(page, folder)) {
        page_free(page);
        return NULL;
    }
    log_info("http_page", "folder=%s files=%zu", log_quote(folder), page->count);
    return page;
}

void page_free(struct page *page) {
    for (size_t i = 0; page != NULL && i < page->count; i++) {
        file_free(&page->files[i]);
    }
    free(page);
}

const struct page_file *page_find(const struct page *page, const char *name, size_t length) {
    for (size_t i = 0; page != NULL && i < page->count; i++) {
        if (strlen(page->files[i].name) == length && memcmp(page->files[i].name, name, length) == 0) {
            return &page->files[i];
        }
    }
    return NULL;
}
