from lab.kubernetes.provider.changes import changed_paths, replaces, value_at, with_value


def test_changes_are_told_by_their_paths_and_lists_as_wholes() -> None:
    old = {"spec": {"limits": {"cpu": "10"}, "args": [1, 2], "same": 1}}
    new = {"spec": {"limits": {"cpu": "20", "memory": "1Gi"}, "args": [1], "same": 1.0}}
    assert list(changed_paths(old, new)) == ["spec.args", "spec.limits.cpu", "spec.limits.memory"]


def test_what_pulumis_provider_makes_anew_is_made_anew() -> None:
    assert replaces("Job", "spec.template.spec.containers")
    assert replaces("Job", "spec.parallelism")
    assert replaces("NodePool", "metadata.name")
    assert not replaces("Job", "spec.suspend")
    assert not replaces("NodePool", "spec.template.spec.requirements")


def test_a_key_with_dots_is_one_key() -> None:
    labels = {"metadata": {"labels": {"example.com/team": "a", "example": "b"}}}
    assert value_at(labels, "metadata.labels.example.com/team") == "a"
    changed = with_value(labels, "metadata.labels.example.com/team", "c")
    assert changed == {"metadata": {"labels": {"example.com/team": "c", "example": "b"}}}
    assert with_value(labels, "metadata.labels.example", None) == {"metadata": {"labels": {"example.com/team": "a"}}}
