//! The system as a model of `stateright`, with a property for every rule and every scene.

use stateright::{Model, Property};

use crate::moment::Moment;
use crate::rules::Rule;
use crate::system::{Action, System};

type Condition = fn(&System, &Moment) -> bool;

/// Whether a moment keeps the rule with this number. The checker reports the last that does not;
/// it is told of the first alone, to which the way is shortest.
fn keeps<const RULE: usize>(system: &System, moment: &Moment) -> bool {
    moment.broken & (1 << RULE) == 0 || !system.is_first_to_break(RULE)
}

/// Whether the scene with this number has happened; true once, for once is enough.
fn happens<const SCENE: usize>(system: &System, _: &Moment) -> bool {
    system.is_news(SCENE)
}

macro_rules! each {
    ($function:ident: $($number:literal)*) => { [$($function::<$number> as Condition),*] };
}

const KEEPS: [Condition; Rule::ALL.len()] = each!(keeps: 0 1 2 3 4 5 6 7 8 9 10 11 12 13);

/// The most scenes of a configuration.
pub const SCENES: usize = 20;
const HAPPENS: [Condition; SCENES] =
    each!(happens: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);

impl Model for System {
    type State = Moment;
    type Action = Action;

    fn init_states(&self) -> Vec<Moment> {
        self.beginnings()
    }

    fn actions(&self, moment: &Moment, actions: &mut Vec<Action>) {
        self.possible(moment, actions);
    }

    fn next_state(&self, moment: &Moment, action: Action) -> Option<Moment> {
        Some(self.after(moment, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let rules = Rule::ALL.into_iter();
        let rules = rules.map(|rule| Property::always(rule.name(), KEEPS[rule as usize]));
        let scenes = self.configuration.scenes.iter().zip(HAPPENS);
        let scenes = scenes.map(|(scene, happens)| Property::sometimes(scene.name, happens));
        rules.chain(scenes).collect()
    }
}
