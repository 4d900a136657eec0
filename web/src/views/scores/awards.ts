// Bonuses (加分) and deductions (减分) that the county's annex knows, with the points of each; the hub holds the same rows and refuses others.
export const AWARDS: [kind: string, name: string, points: number][] = [
  ["praise_national", "国家级表扬或奖励", 2],
  ["praise_provincial", "省级表扬或奖励", 1],
  ["praise_city", "市级表扬或奖励", 0.5],
  ["leader_praise", "县委、县政府主要领导批示表扬", 1],
  ["outside_duty", "承担并完成非自身职责内的问题", 0.5],
  ["media_national", "国家级媒体曝光", -2],
  ["media_provincial", "省级媒体曝光", -1],
  ["media_city", "市级媒体曝光", -0.5],
  ["creation_loss", "创建工作失分点", -1],
  ["criticism", "主要领导点名批评或县级通报", -2],
  ["refusal", "推诿拒绝接受任务", -1],
  ["poor_cooperation", "配合不力、消极应付、推诿扯皮", -1],
  ["key_task_missed", "其他重点任务未完成", -1],
];
