// What the desk knows of the work beyond what the API tells: which states wait for which post, in which order actions are offered, and the
// phrases that people write again and again. What somebody may do is the API's alone to say (`can`).

/** The states in which a case waits for a post. */
export const DUTY: Record<string, string[]> = {
  supervisor: ["verifying", "handled"],
  acceptor: ["reported"],
  registrar: ["accepted", "verified", "checked"],
  dispatcher: ["registered", "returned"],
  department: ["dispatched", "handling"],
};

/** Who decides on extensions and suspensions. */
export const DECIDERS = ["dispatcher", "leader"];

/** What brings a case on comes first: it has the low digits. What is not named comes last. */
const ORDER =
  "accept verify register dispatch handle feed_back check close resume grant_extension refuse_return call_back ask_verify refute return rework reject classify suspend refuse_extension refuse_suspension ask_extension ask_suspension remind supervise flag attach merge void".split(
    " ",
  );
export const rank = (action: string): number => (ORDER.includes(action) ? ORDER.indexOf(action) : ORDER.length);

/** They go into the journal, so they are Chinese whatever the page's language. */
export const PHRASES: Record<string, string[]> = {
  accept: ["情况属实，予以受理。", "已电话核对，予以受理。"],
  reject: ["不属于城市管理范围。", "重复上报，已有案卷在办。", "位置不清，无法核实。"],
  ask_verify: ["请到现场核实。"],
  verify: ["现场核实属实。"],
  refute: ["现场未发现所述问题。", "问题已自行消除。"],
  register: ["符合立案条件，予以立案。"],
  dispatch: ["请按时限处置。", "情况紧急，请立即处置。"],
  handle: ["已接单，安排人员前往。"],
  feed_back: ["已处置完毕，现场恢复。", "已清理干净。", "已修复，恢复使用。"],
  return: ["不属于本单位职责。", "位置不在本单位辖区。", "需其他单位先行处置。"],
  refuse_return: ["属于本单位职责，请按时处置。"],
  check: ["现场核查，处置到位。"],
  rework: ["现场仍有遗留，请返工。", "处置不到位，请重新处置。"],
  close: ["符合结案条件，予以结案。"],
  ask_extension: ["需采购材料，申请延期。", "天气原因无法施工，申请延期。"],
  grant_extension: ["情况属实，准予延期。"],
  refuse_extension: ["理由不充分，请按时处置。"],
  ask_suspension: ["需专项资金，申请挂账。", "等待工程统一改造，申请挂账。"],
  suspend: ["情况属实，准予挂账。"],
  refuse_suspension: ["不符合挂账条件，请按时处置。"],
  resume: ["条件已具备，恢复处置。"],
  remind: ["时限将到，请抓紧处置。"],
  supervise: ["请立即处置并反馈结果。", "群众反映强烈，限今日处置。"],
  flag: ["经核实认定。"],
  void: ["重复立案。", "测试案卷。"],
  call_back: ["已电话回访。"],
};

export const FLAGS: Record<string, string> = {
  shirking: "推诿",
  fraud: "弄虚作假",
  poor_cooperation: "配合不力",
  unfounded: "核实不属实",
  wrong_dispatch: "错误派遣",
  overdue: "超期",
  stage_overdue: "环节超时",
  direct: "未接单直接反馈",
};
/** The ones that people find. */
export const FINDINGS = ["shirking", "fraud", "poor_cooperation", "unfounded", "wrong_dispatch"];
export const SATISFACTION: Record<string, string> = { satisfied: "满意", basically_satisfied: "基本满意", dissatisfied: "不满意" };
