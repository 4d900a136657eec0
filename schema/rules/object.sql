-- Objects that messages tell of: devices (inventory.sql), people, vehicles and work orders (staff_work.sql). The records of a
-- message are worked out, each on what those before it left, and what they come to is stored at once: an object that a message
-- names thousands of times is written once. Called below message_store() (document.sql), which pins the search path for all of it.
-- Each kind of object has
--   object_after(stored, message, member, since)  what it is after a record, the record's fields that are left out, and, of a
--                                                 record that is refused, its problem (then the object stays);
--   object_told(stored, wanted)                   what the record was for it;
--   objects_write(kind, objects)                  how objects are stored.

-- of[n]: which of the objects members[n] is about.
CREATE OR REPLACE FUNCTION onemap.members_follow(message jsonb, members jsonb[], of int[], since timestamptz,
    INOUT objects anyarray, OUT told jsonb[])
LANGUAGE plpgsql STABLE AS $$
DECLARE n int := 1; s record;
BEGIN
    WHILE n <= cardinality(members) LOOP
        BEGIN -- As far as nothing unforeseen comes: to enter it for each record would cost as much as the rest.
            WHILE n <= cardinality(members) LOOP
                s := onemap.object_after(objects[of[n]], message, members[n], since);
                told[n] := CASE WHEN s.problem IS NOT NULL THEN jsonb_build_object('fate', 'rejected', 'problem', s.problem)
                    ELSE jsonb_build_object('fate', onemap.object_told(objects[of[n]], s.wanted), 'flaws', s.flaws) END;
                objects[of[n]] := s.wanted;
                n := n + 1;
            END LOOP;
        EXCEPTION
            WHEN OTHERS THEN
                IF onemap.server_fault(SQLSTATE) THEN
                    RAISE;
                END IF;
                told[n] := jsonb_build_object('fate', 'rejected', 'problem',
                    onemap.record_problem((members[n]->>'index')::int, SQLSTATE, SQLERRM));
                n := n + 1;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.members_follow(jsonb, jsonb[], int[], timestamptz, anyarray) IS
    'What the records of a message make of their objects, one after the other, and each record''s {fate, flaws, problem}; stores '
    'nothing';

CREATE OR REPLACE FUNCTION onemap.objects_raced(wanted bigint, stored bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF stored < wanted THEN
        RAISE EXCEPTION 'an object of this message is being stored by another one' USING ERRCODE = 'serialization_failure';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.objects_raced(bigint, bigint) IS
    'The batch is to be taken again if fewer objects were stored than are new';

CREATE OR REPLACE FUNCTION onemap.objects_store(kind text, stored anyarray, wanted anyarray, members jsonb[], of int[],
    INOUT told jsonb[])
LANGUAGE plpgsql AS $$
DECLARE places int[]; changed wanted%TYPE; bad jsonb[]; words text; state text;
BEGIN
    FOR k IN 1 .. cardinality(wanted) LOOP
        IF (wanted[k]).code IS NOT NULL AND wanted[k] IS DISTINCT FROM stored[k] THEN
            places := places || k;
            changed := changed || wanted[k];
        END IF;
    END LOOP;
    IF places IS NULL THEN
        RETURN;
    END IF;
    BEGIN
        PERFORM onemap.objects_write(kind, changed);
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        IF onemap.server_fault(SQLSTATE) THEN
            RAISE;
        END IF;
        RAISE DEBUG 'objects of % are stored one by one: %', kind, SQLERRM; -- one of them is not what its table takes
    END;
    FOR turn IN 1 .. 3 LOOP -- one may need another that comes later
        FOR k IN 1 .. cardinality(places) LOOP
            CONTINUE WHEN turn > 1 AND bad[places[k]] IS NULL;
            BEGIN
                PERFORM onemap.objects_write(kind, changed[k:k]);
                bad[places[k]] := NULL;
            EXCEPTION WHEN OTHERS THEN
                IF onemap.server_fault(SQLSTATE) THEN
                    RAISE;
                END IF;
                GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
                bad[places[k]] := to_jsonb(ARRAY[state, words]);
            END;
        END LOOP;
    END LOOP;
    FOR n IN 1 .. cardinality(told) LOOP
        IF bad[of[n]] IS NOT NULL AND told[n]->>'fate' <> 'rejected' THEN
            told[n] := jsonb_build_object('fate', 'rejected', 'problem',
                onemap.record_problem((members[n]->>'index')::int, bad[of[n]]->>0, bad[of[n]]->>1));
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.objects_store(text, anyarray, anyarray, jsonb[], int[], jsonb[]) IS
    'Stores what changed of the objects of a message; what is told of their records: rejected, if their object could not be stored';

-- kind: inventory, PERSON, VEHICLE, work or interval.
CREATE OR REPLACE FUNCTION onemap.members_put(message jsonb, kind text, members jsonb[], since timestamptz) RETURNS jsonb[]
LANGUAGE plpgsql AS $$
DECLARE
    subsystem text := message->>'subsystem'; vendor text := message->>'vendor'; codes text[]; of int[]; told jsonb[];
    device onemap.device[]; device_after onemap.device[];
    staff onemap.vehicle[]; staff_after onemap.vehicle[]; work onemap.work_order[]; work_after onemap.work_order[];
BEGIN
    IF kind = 'interval' THEN
        RETURN onemap.intervals_put(message, members, since);
    END IF;
    SELECT array_agg(k.object ORDER BY k.n), array_agg(DISTINCT k.code) INTO of, codes
    FROM (SELECT m.n, m.code, (dense_rank() OVER (ORDER BY m.code))::int AS object
          FROM (SELECT n, e->'record'->>CASE members_put.kind WHEN 'work' THEN 'work_code' WHEN 'inventory' THEN 'device_code'
                             ELSE 'code' END AS code
                FROM unnest(members) WITH ORDINALITY AS a(e, n)) m) k;
    IF kind = 'inventory' THEN
        SELECT r.members, r.devices INTO members, device FROM onemap.inventory_ready(message, codes, members) r;
        SELECT f.objects, f.told INTO device_after, told FROM onemap.members_follow(message, members, of, since, device) f;
        RETURN onemap.objects_store(kind, device, device_after, members, of, told);
    ELSIF kind = 'work' THEN
        PERFORM onemap.standards_put(subsystem, vendor, members);
        work := onemap.work_stored(subsystem, vendor, codes);
        SELECT f.objects, f.told INTO work_after, told FROM onemap.members_follow(message, members, of, since, work) f;
        RETURN onemap.objects_store(kind, work, work_after, members, of, told);
    END IF;
    staff := onemap.staff_stored(kind, subsystem, vendor, codes);
    SELECT f.objects, f.told INTO staff_after, told FROM onemap.members_follow(message, members, of, since, staff) f;
    RETURN onemap.objects_store(kind, staff, staff_after, members, of, told);
END $$;
COMMENT ON FUNCTION onemap.members_put(jsonb, text, jsonb[], timestamptz) IS
    'Stores the records of a message of kind inventory, work or interval, or those of its people or its vehicles; what became of '
    'each: {fate, flaws, problem}';
