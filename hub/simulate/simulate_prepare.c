/* simulate_prepare.c: hands the synthetic county to simulation.prepare(), which decides and stores. */
#include "hub/simulate/simulate_prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/adapter.h"
#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/simulate/simulate_county.h"

static void add_vendor(cJSON *vendors, const char *subsystem, const char *vendor, const char *name_zh) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "subsystem", subsystem);
    cJSON_AddStringToObject(object, "vendor", vendor);
    cJSON_AddStringToObject(object, "name_zh", name_zh);
    cJSON_AddItemToArray(vendors, object);
}

/* Who would run a subsystem's platform: invented, each another. */
static const struct {
    const char *subsystem, *company;
} companies[] = {
    {"sanitation", "清晏环卫服务（模拟）"},
    {"streetlight", "星衢照明科技（模拟）"},
    {"dust", "澄空环境监测（模拟）"},
    {"municipal", "通衢市政养护（模拟）"},
    {"landscaping", "绿禾园林（模拟）"},
    {"construction_waste", "安渣运输管理（模拟）"},
    {"gas", "恒燃燃气（模拟）"},
    {"heating", "暖域热力（模拟）"},
    {"water", "润泉供水（模拟）"},
    {"incineration", "炬能环保发电（模拟）"},
    {"enforcement", "城安信息技术（模拟）"},
};

static const char *company_of(const struct adapter *adapter) {
    for (size_t i = 0; i < sizeof companies / sizeof companies[0]; i++) {
        if (strcmp(companies[i].subsystem, adapter->key) == 0) {
            return companies[i].company;
        }
    }
    return adapter->name_zh;
}

static char *description(const char *vendor) {
    cJSON *county = county_description();
    cJSON *vendors = cJSON_AddArrayToObject(county, "vendors");
    for (size_t i = 0; i < adapter_count; i++) {
        add_vendor(vendors, adapters[i]->key, vendor, company_of(adapters[i]));
    }
    add_vendor(vendors, "dust", "demo", "演示厂商");
    char *text = cJSON_PrintUnformatted(county);
    cJSON_Delete(county);
    return text;
}

int simulate_require(PGconn *connection) {
    char *there = database_text(connection, "SELECT pg_catalog.to_regnamespace('simulation') IS NOT NULL", 0, NULL);
    if (there == NULL) {
        return CH_EDATABASE;
    }
    int code = *there == 't' ? 0 : CH_EINVAL;
    if (code != 0) {
        command_fail(
            "this database has none of the simulator's SQL, as befits a county's: `cityhub migrate --simulation` "
            "brings it");
    }
    free(there);
    return code;
}

int simulate_prepare(const struct config *config, const char *vendor) {
    char *county = description(vendor);
    if (county == NULL) {
        return CH_EMEMORY;
    }
    PGconn *connection = database_connect(config, "simulate");
    char *answer =
        connection == NULL || simulate_require(connection) != 0
            ? NULL
            : database_text(connection, "SELECT simulation.prepare($1::jsonb)", 1, (const char *const[]){county});
    if (answer != NULL) {
        printf("The synthetic county is ready: %s.\n", answer);
    }
    int code = answer == NULL ? CH_EDATABASE : 0;
    free(answer);
    free(county);
    PQfinish(connection);
    return code;
}
