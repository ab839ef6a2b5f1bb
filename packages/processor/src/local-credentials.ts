/** What a worker has of credentials beside the store of the service. */
import { type Environment, readMountedCredentials, type Settings } from '@scanmq/config';
import { type LocalCredentials, openCredentialsFile } from '@scanmq/queue';

/** @param onMistakes told when what is wrong has changed: places and expectations, no values. */
export function createLocalCredentials(
  settings: Pick<
    Settings,
    'credentialsFile' | 'credentialsDir' | 'credentialsKey' | 'credentialsKeysPrevious'
  >,
  env: Environment,
  onMistakes: (mistakes: readonly string[]) => void,
): LocalCredentials {
  const keys = settings.credentialsKey ? [settings.credentialsKey, ...settings.credentialsKeysPrevious] : [];
  let told = '';
  const read = () => {
    const { byName, mistakes } = readMountedCredentials(settings, env, (text) =>
      openCredentialsFile(text, keys),
    );
    const lines = mistakes.map(({ path, message }) => `${path} ${message}`);
    if (lines.join('\n') !== told) onMistakes(lines);
    told = lines.join('\n');
    return byName;
  };
  return {
    list: () =>
      [...read()].map(([name, { source, credential }]) => ({
        name,
        source,
        privileged: credential.elevate_privileges_with !== 'Nothing',
      })),
    open(name) {
      const found = read().get(name);
      if (!found) return undefined;
      const { name: _, description: __, ...credentials } = found.credential;
      return credentials;
    },
  };
}
