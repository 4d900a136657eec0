/* problem.c: the kinds of refusals, one row each, and their JSON. Must never tell a stranger what only the log should
 * say: details of the database or of the hub's inside. */
#include "hub/http/problem.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/text.h"

static const struct kind {
    unsigned status;
    const char *code;
    const char *title[2], *hint[2]; /* by enum language */
} kinds[] = {
    [PROBLEM_PATH] = {404,
                      "CH040",
                      {"没有这个路径", "There is no such path"},
                      {"GET /api/v1 列出全部路径。", "GET /api/v1 lists all paths."}},
    [PROBLEM_METHOD] = {405,
                        "CH041",
                        {"该路径不支持此方法", "The path does not have this method"},
                        {"允许的方法见应答头 Allow。", "The header Allow of this answer names those it has."}},
    [PROBLEM_PARAMETER] = {400,
                           "CH042",
                           {"参数有误", "A parameter is wrong"},
                           {"请按说明修改该参数。", "Change the parameter as described."}},
    [PROBLEM_TARGET] = {400,
                        "CH043",
                        {"请求地址编码有误", "The address is not encoded rightly"},
                        {"地址须为 UTF-8，并以 %XX 转义。", "Write it as UTF-8, with %XX for what is not plain."}},
    [PROBLEM_BODY] = {400,
                      "CH044",
                      {"请求体有误", "The body is wrong"},
                      {"请检查请求体。", "Look at what was sent as the body."}},
    [PROBLEM_LARGE] = {413,
                       "CH045",
                       {"请求体过大", "The body is too large"},
                       {"请减小或分批发送。", "Send less, or in several requests."}},
    [PROBLEM_MEDIA] = {415,
                       "CH046",
                       {"不支持该内容类型", "This kind of content is not taken"},
                       {"请修改请求头 Content-Type。", "Change the header Content-Type."}},
    [PROBLEM_ACCEPT] = {406,
                        "CH047",
                        {"无法提供所要求的类型", "There is no answer of the kind that was asked for"},
                        {"请修改请求头 Accept。", "Change the header Accept."}},
    [PROBLEM_NOTHING] = {404,
                         "CH049",
                         {"没有找到", "Nothing is there"},
                         {"请核对编号；也可能不在您能看到的范围内。",
                          "Look at the number or code; or it is not among what you may see."}},
    [PROBLEM_BUSY] = {503, "CH050", {"系统繁忙", "Too busy"}, {"请稍后再试。", "Try again a little later."}},
    [PROBLEM_AWAY] = {503,
                      "CH051",
                      {"数据库暂时不可用", "The database is away"},
                      {"请稍后再试；管理员请看 /readyz。", "Try again later; an administrator looks at /readyz."}},
    [PROBLEM_LATE] = {504, "CH052", {"未能按时答复", "No answer in time"}, {"请缩小查询范围。", "Ask for less."}},
    [PROBLEM_INTERNAL] = {500,
                          "CH053",
                          {"内部错误", "A fault of the hub"},
                          {"请告知管理员，原因在日志中。", "Tell the administrator; the log says why."}},
    [PROBLEM_IDENTITY] = {401,
                          "CH060",
                          {"需要登录", "Log in first"},
                          {"请先 POST /api/v1/login，或在请求头 Authorization 中给出令牌。",
                           "POST /api/v1/login, or give a token in the header Authorization."}},
    [PROBLEM_LOGIN] = {401,
                       "CH061",
                       {"登录失败", "The login failed"},
                       {"请核对账号和密码；忘记密码请找管理员。",
                        "Check both; an administrator gives a new password."}},
    [PROBLEM_ORIGIN] = {403,
                        "CH062",
                        {"请求来源不符", "The request comes from elsewhere"},
                        {"请从本系统的页面操作；管理员请核对 [http] origins。",
                         "Use this hub's own page; an administrator looks at [http] origins."}},
    [PROBLEM_SLOWER] = {429, "CH063", {"请求过于频繁", "Too many tries"}, {"请稍后再试。", "Try again later."}},
    [PROBLEM_RIGHT] = {403,
                       "CH064",
                       {"无权访问", "Not allowed"},
                       {"如需此权限请找管理员。", "An administrator gives rights."}},
    [PROBLEM_CROWDED] =
        {429,
         "CH054",
         {"同一地址的连接过多", "Too many connections from one address"},
         {"请关闭不用的连接后再试；经代理访问时，管理员可调高 [http] address_connections。",
          "Close some and try again; behind a proxy an administrator raises [http] address_connections."}},
    [PROBLEM_UNSURE] =
        {503,
         "CH055",
         {"尚未确认入库", "Not known to be stored"},
         {"请保留数据，稍后原样重发（Idempotency-Key 不变），重复无害。",
          "Keep the data and send the same again later, with the same Idempotency-Key: twice does no harm."}},
    [PROBLEM_REUSED] = {422,
                        "CH056",
                        {"Idempotency-Key 已用于其他内容", "The Idempotency-Key was used for another content"},
                        {"每条内容用一个新的 Idempotency-Key，只有原样重发才用同一个。",
                         "Take a new one for each content; only what is sent again as it was has the same."}},
    [PROBLEM_PAST] = {400,
                      "CH078",
                      {"这里没有过去可查", "There is no past of this"},
                      {"可带 at 的路径见 GET /api/v1；统计和考核按 month、as_of。",
                       "GET /api/v1 says which paths take at; statistics and scores go by month and as_of."}},
    [PROBLEM_RULE] = {422, "", {"不符合规则", "A rule says no"}, {"", ""}},
};

/* Rules of SQL, by their codes: docs/cases.md and docs/score.md explain them. What a rule says itself is English. */
static const struct rule {
    const char *code;
    unsigned status;
    const char *title[2], *hint_zh;
} rules[] = {
    {"CH010",
     409,
     {"当前状态或岗位不能这样办理", "Not in this state, or not for this post"},
     "请刷新案卷，按其 can 所列办理。"},
    {"CH011", 409, {"案卷已被他人修改", "Somebody else was faster"}, "请刷新案卷后重新办理。"},
    {"CH012", 422, {"缺少理由", "A reason is missing"}, "请填写 reason。"},
    {"CH013", 422, {"字段有误", "A field is wrong"}, "请按说明修改该字段。"},
    {"CH014", 422, {"时间有误", "A time is wrong"}, "时间须带时区，不晚于现在。"},
    {"CH015", 422, {"类别或立案条件有误", "Category or condition"}, "请核对 category 与 condition。"},
    {"CH016", 422, {"单位有误或不明确", "Which department?"}, "请核对 department。"},
    {"CH017", 404, {"没有这个案卷", "There is no such case"}, "请核对案卷号。"},
    {"CH018", 409, {"已经存在", "There already"}, "请查看已有的记录。"},
    {"CH019", 403, {"无权办理", "Not entitled"}, "请由相应岗位或责任单位办理。"},
    {"CH020", 422, {"没有待批的申请", "Nothing was asked for"}, "请刷新案卷。"},
    {"CH030", 422, {"考核请求有误", "The score's request is wrong"}, "请按说明修改。"},
    {"CH031", 409, {"该月的状态不允许", "Not in this state of the month"}, "请查看该月的办理进度。"},
    {"CH042", 400, {"参数有误", "A parameter is wrong"}, "请按说明修改该参数。"},
    {"CH057", 429, {"待用的附件过多", "Too many attachments wait"}, "请先附到案卷。"},
    {"CH066",
     403,
     {"不能这样管理", "Not to be managed so"},
     "请由管理员本人登录后办理；本人的岗位和停用由别的管理员办理。"},
    {"CH072", 429, {"待发的指令过多", "Too many commands wait"}, "请等前面的指令发出或过期后再试。"},
    {"CH073", 422, {"终端没有这条指令", "The terminal takes no such command"}, "请核对 command。"},
    {"CH088", 409, {"终端没有登记密钥", "The terminal has no key"}, "请先登记现用的 SM4 密钥。"},
    {"CH079", 422, {"文件有误，没有导入", "The file is wrong; nothing is imported"}, "请先检查文件，按检查报告改正。"},
    {"CH075", 404, {"没有这个区县，或不是它的令牌", "No such county, or not its token"}, "每个区县用自己的令牌上报。"},
    {"CH076", 422, {"上报的内容有误", "What is reported is wrong"}, "请核对资源与 records。"},
    {"CH081", 422, {"订阅有误", "The subscription is wrong"}, "请核对订阅的内容。"},
    {"CH082", 409, {"游标已过期", "The cursor is too old"}, "请先取现状，再从提示的 after 接着取。"},
    {"CH060", 401, {"需要登录", "Log in first"}, "请先登录。"},
    {"CH078", 400, {"这里没有过去可查", "There is no past of this"}, "请去掉 at，或去掉 statistic。"},
    {"CH065", 400, {"该时刻无法查询", "Not of that moment"}, "at 须为过去且仍保留的时刻。"},
};

static const struct rule *rule_find(const char *code) {
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        if (strcmp(rules[i].code, code) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

unsigned problem_status(const char *code) {
    const struct rule *rule = rule_find(code);
    return rule == NULL ? kinds[PROBLEM_RULE].status : rule->status;
}

/* What to do, in Chinese, and behind it what the rule says in English. */
static void hint_of_rule(const struct rule *rule, const struct problem *problem, char *text, size_t size) {
    bool other = problem->language != LANGUAGE_ZH || rule == NULL || text_is_chinese(problem->hint);
    if (other || problem->hint[0] == '\0') {
        snprintf(text, size, "%s", other ? problem->hint : rule->hint_zh);
    } else {
        snprintf(text, size, "%s（%s）", rule->hint_zh, problem->hint);
    }
    text_trim(text);
}

void problem_set(struct problem *problem, enum problem_kind kind, enum language language, const char *zh,
                 const char *en, ...) {
    va_list arguments;
    *problem = (struct problem){.kind = kind, .status = kinds[kind].status, .language = language};
    memcpy(problem->code, kinds[kind].code, strlen(kinds[kind].code) + 1);
    va_start(arguments, en);
    vsnprintf(problem->detail, sizeof problem->detail, language == LANGUAGE_ZH ? zh : en, arguments);
    va_end(arguments);
    text_trim(problem->detail);
}

char *problem_json(const struct problem *problem, const char *instance) {
    const struct kind *kind = &kinds[problem->kind];
    const struct rule *rule = problem->kind == PROBLEM_RULE ? rule_find(problem->code) : NULL;
    const char *title = rule == NULL ? kind->title[problem->language] : rule->title[problem->language];
    char type[40], hint[PROBLEM_DETAIL_MAX + 100];
    if (problem->kind == PROBLEM_RULE) {
        hint_of_rule(rule, problem, hint, sizeof hint);
    } else {
        snprintf(hint, sizeof hint, "%s", problem->hint[0] == '\0' ? kind->hint[problem->language] : problem->hint);
    }
    cJSON *root = cJSON_CreateObject();
    snprintf(type, sizeof type, "urn:cityhub:problem:%s", problem->code);
    cJSON_AddStringToObject(root, "type", type);
    cJSON_AddStringToObject(root, "title", title);
    cJSON_AddNumberToObject(root, "status", problem->status);
    cJSON_AddStringToObject(root, "code", problem->code);
    cJSON_AddStringToObject(root, "detail", problem->detail);
    if (hint[0] != '\0') {
        cJSON_AddStringToObject(root, "hint", hint);
    }
    if (problem->parameter[0] != '\0') {
        cJSON_AddStringToObject(root, "parameter", problem->parameter);
    }
    if (instance != NULL) {
        cJSON_AddStringToObject(root, "instance", instance);
    }
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}
