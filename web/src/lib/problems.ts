// Why a message, a record or a field was not stored: the codes of docs/vendor.md (问题代码), each in a sentence for who operates the county's side. The
// hub's own reason is English, names the value, and stands beside it.
import { coded } from "./codes.ts";

const SENTENCES: Record<string, string> = {
  malformed: "报文不是 JSON 或 protobuf，或中途截断",
  empty_batch: "报文里没有记录",
  too_many_records: "一条报文超过 20000 条记录，须拆小重发",
  missing_device_code: "缺设备编码",
  missing_time: "缺采集时间（案卷为发生时间）",
  missing_field: "缺必填字段",
  wrong_type: "字段的类型不符",
  not_finite: "读数是非数或无穷大",
  bad_code: "编码过长，或含控制字符、非 UTF-8",
  bad_text: "文本过长，或含控制字符、非 UTF-8",
  bad_enum: "枚举没有这个名称或数值",
  time_ahead: "时间超前：设备须校时，或单位不是毫秒",
  time_too_old: "时间早于保存期：设备须校时，或用了秒",
  bad_position: "经纬度缺一、超界，或为 0,0",
  missing_coordinate_system: "位置没有写坐标系",
  duplicate_field: "同一字段出现两次",
  no_readings: "没有监测值，多半发错了主题",
  bad_value: "值不合规定",
  wrong_topic: "发到了另一子系统或另一种类的主题",
  place_outside: "案卷的位置在县域之外",
  unknown_vendor: "厂商没有登记这个子系统：登记后可重放",
  revoked_vendor: "厂商对这个子系统的权限已停",
  unknown_device: "设备没有台账：补登记后可重放",
  too_many_unknown_devices: "没有台账的设备已达上限",
  too_many_new_days: "补发的历史日期太多：分批补发，或放宽上限",
  too_large: "报文超过大小上限，须拆小重发",
  unknown_kind: "主题最后一级不是六种之一",
  unknown_reference: "引用的设备、人员、单位等不存在：补登记后可重放",
  reported_before: "案卷编码已报过，内容不同，没有采用",
  refused_by_database: "数据库拒收",
};

export const problemName = (code: string): string => coded(code, SENTENCES[code]);
